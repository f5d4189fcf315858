"""A site as Parsl takes it: one executor with its provider, and nothing that leaves the cluster."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.provenance import available_cores
from genret_core.workbench.pool.devices import VISIBLE, visible_devices
from genret_core.workbench.pool.process import ON_BEHALF, on_behalf
from genret_core.workbench.sites.file import (
    BatchSite,
    ClusterSite,
    KubernetesSite,
    PbsSite,
    Site,
    SlurmSite,
)

LABEL = "genret"
GIVEN = "GENRET_SITE_DEVICES"  # the GPUs of a node, as the scheduler gave them
UNTIL = "GENRET_SITE_UNTIL"  # when the batch job has to be over (seconds since 1970, by the node's clock)
TRIES = 3  # blocks that may fail one after the other
NOTICE = 60  # seconds before the walltime at which what runs is stopped, so that its state is known
PASSED_ON = ("GENRET_", "HF_", "TRANSFORMERS_")  # variables that some schedulers do not hand to their jobs


def workers_of(site: Site) -> int:
    """Count the workers of a node."""
    if site.workers_per_node is not None:
        return site.workers_per_node
    return max(1, available_cores() // site.cores_per_worker)


def capacity(site: Site) -> int:
    """Count the jobs that may run at a time."""
    return workers_of(site) * site.nodes_at_most


def devices_of(site: Site) -> list[str]:
    """Name the GPUs of a node."""
    if site.gpus_per_node is None:
        return visible_devices()
    return [str(i) for i in range(site.gpus_per_node)]


def parsl_config(site: Site, folder: Path) -> Any:
    """Make the configuration for a site.

    Parameters
    ----------
    site : Site
        The site.
    folder : Path
        Where Parsl may write; the nodes see it, too.

    Returns
    -------
    parsl.Config
        Nothing is submitted before it is loaded.

    Raises
    ------
    BadInput
        Parsl is not installed or does not run here, or this machine lacks what the site needs.
    """
    htex, config = _parsl()
    workers, devices = workers_of(site), devices_of(site)
    executor = htex(
        label=LABEL,
        provider=_provider(site),
        address=_address(site),  # named, for Parsl's own search asks a server on the internet
        cores_per_worker=float(site.cores_per_worker),
        max_workers_per_node=workers,
        available_accelerators=[devices[i % len(devices)] for i in range(workers)] if devices else [],
        heartbeat_period=site.heartbeat,
        heartbeat_threshold=max(site.lost_after, 2 * site.heartbeat),
        drain_period=site.walltime - NOTICE if isinstance(site, BatchSite) else None,
        block_error_handler=give_up,
        interchange_launch_cmd=[sys.executable, "-m", "genret_core.workbench.sites.interchange"],
        encrypted=True,
    )
    return config(
        executors=[executor],
        retries=0,  # what did not come through is told, and run again by the next command
        run_dir=str(folder),
        # `htex_auto_scale` would give idle blocks back, but it takes blocks that still start for idle ones
        strategy="simple",
        max_idletime=30.0,
        usage_tracking=0,
        exit_mode="cleanup",
    )


def give_up(executor: Any, blocks: Mapping[str, Any]) -> None:
    """Stop asking for blocks when the last `TRIES` of them ended without one worker that reported.

    Parsl asks again every few seconds, and its own handlers stop only if no block ever ended in another way.
    """
    last = sorted(blocks, key=int)[-TRIES:]
    reported = set(executor.connected_blocks())
    if len(last) < TRIES or not all(blocks[one].terminal and one not in reported for one in last):
        return
    said = [text for one in last for text in (blocks[one].message, blocks[one].stderr_summary) if text]
    executor.set_bad_state_and_fail_all(RuntimeError(said[-1] if said else "nothing"))


def _parsl() -> tuple[Any, Any]:
    if sys.platform == "win32":
        raise BadInput("--engine parsl does not run on Windows; leave it out, or work in WSL.")
    try:
        from parsl.config import Config
        from parsl.executors import HighThroughputExecutor
    except ImportError:
        told = "--engine parsl needs Parsl, which is not installed here; pip install 'genret[sweep]'."
        raise BadInput(told) from None
    return HighThroughputExecutor, Config


def surroundings(site: Site) -> str:
    """Write the shell that runs on a node before its workers: the environment, then the site's own lines."""
    python = Path(site.python).expanduser() if site.python else Path(sys.executable)
    programs = python.parent if python.parent.name == "bin" else python / "bin"
    lines = [f'export {GIVEN}="${{{VISIBLE}:-}}"', f"export {ON_BEHALF}={shlex.quote(on_behalf())}"]
    if isinstance(site, BatchSite):
        lines.append(f"export {UNTIL}=$(( $(date +%s) + {site.walltime - NOTICE} ))")
    if not isinstance(site, KubernetesSite) or site.python:  # an image has its own Python
        lines.append(f"export PATH={shlex.quote(str(programs))}:$PATH")
    if not isinstance(site, KubernetesSite):
        root = Path(__file__).resolve().parents[3]
        lines.append(f"export PYTHONPATH={shlex.quote(str(root))}${{PYTHONPATH:+:$PYTHONPATH}}")
        lines += [
            f"export {name}={shlex.quote(value)}"
            for name, value in sorted(os.environ.items())
            if name.startswith(PASSED_ON) and not name.endswith("TOKEN") and name != ON_BEHALF
        ]
    lines.append(f"cd {shlex.quote(os.getcwd())}")
    lines.append(f"export PARSL_CORES={workers_of(site) * site.cores_per_worker}")
    return "\n".join([*lines, *site.before])


def _provider(site: Site) -> Any:
    from parsl.providers import LocalProvider

    if not isinstance(site, ClusterSite):
        return LocalProvider(init_blocks=1, min_blocks=0, max_blocks=1, worker_init=surroundings(site))
    common: dict[str, Any] = {
        "nodes_per_block": site.nodes,
        "init_blocks": site.blocks.init,
        "min_blocks": site.blocks.min,
        "max_blocks": site.blocks.max,
        "worker_init": surroundings(site),
    }
    if isinstance(site, SlurmSite):
        return _slurm(site, common)
    if isinstance(site, PbsSite):
        return _pbs(site, common) if site.provider == "pbs" else _torque(site, common)
    assert isinstance(site, KubernetesSite)
    return _kubernetes(site, common)


def _slurm(site: SlurmSite, common: dict[str, Any]) -> Any:
    from parsl.launchers import SingleNodeLauncher, SrunLauncher
    from parsl.providers import SlurmProvider

    return SlurmProvider(
        **common,
        partition=site.partition,
        account=site.account,
        qos=site.qos,
        constraint=site.constraint,
        cores_per_node=site.cores_per_node,
        mem_per_node=site.memory_per_node,
        gpus_per_node=site.gpus_per_node or None,
        walltime=site.clock,
        exclusive=site.exclusive,
        scheduler_options=site.directives(),
        cmd_timeout=60,
        launcher=SrunLauncher() if site.nodes > 1 else SingleNodeLauncher(),
    )


def _pbs(site: PbsSite, common: dict[str, Any]) -> Any:
    from parsl.launchers import MpiExecLauncher, SingleNodeLauncher
    from parsl.providers import PBSProProvider

    asked = [f"ngpus={site.gpus_per_node}"] if site.gpus_per_node else []
    asked += [f"mem={site.memory_per_node}gb"] if site.memory_per_node else []
    return PBSProProvider(
        **common,
        account=site.account,
        queue=site.queue,
        cpus_per_node=site.cores_per_node,
        select_options=":".join(asked),
        walltime=site.clock,
        scheduler_options=site.directives(),
        launcher=MpiExecLauncher() if site.nodes > 1 else SingleNodeLauncher(),
    )


def _torque(site: PbsSite, common: dict[str, Any]) -> Any:
    from parsl.launchers import MpiExecLauncher, SingleNodeLauncher
    from parsl.providers import TorqueProvider

    memory = [f"-l mem={site.memory_per_node * site.nodes}gb"] if site.memory_per_node else []
    provider = TorqueProvider(
        **common,
        account=site.account,
        queue=site.queue,
        walltime=site.clock,
        scheduler_options=site.directives(*memory),
        launcher=MpiExecLauncher() if site.nodes > 1 else SingleNodeLauncher(),
    )
    gpus = f":gpus={site.gpus_per_node}" if site.gpus_per_node else ""
    # Parsl asks Torque for one core, whatever the number of workers
    whole = provider.template_string.replace("ppn=${tasks_per_node}", f"ppn={site.cores_per_node}{gpus}")
    provider.template_string = whole
    return provider


def _kubernetes(site: KubernetesSite, common: dict[str, Any]) -> Any:
    from parsl.errors import OptionalModuleMissing
    from parsl.providers import KubernetesProvider

    memory = f"{site.memory_per_node}Gi"
    gpus = {"nvidia.com/gpu": str(site.gpus_per_node)} if site.gpus_per_node else {}
    try:
        return KubernetesProvider(
            **common,
            image=site.image,
            namespace=site.namespace,
            max_cpu=float(site.cores_per_node),
            init_cpu=float(site.cores_per_node),
            max_mem=memory,
            init_mem=memory,
            extra_requests=gpus,
            extra_limits=gpus,
            persistent_volumes=list(site.volumes.items()),
            service_account_name=site.service_account,
            secret=site.pull_secret,
        )
    except OptionalModuleMissing:
        told = "a site of kubernetes needs its client, which is not installed here; pip install kubernetes."
        raise BadInput(told) from None


def check_usable(site: Site, study: Path) -> None:
    """Refuse what cannot work from this machine, before anything is changed.

    Raises
    ------
    BadInput
        Parsl is not installed or does not run here, nothing submits jobs, this machine's address is not
        known, or the path of the study is none that Parsl's scripts can hold.
    """
    _parsl()
    if site.submits is not None and shutil.which(site.submits) is None:
        told = f"there is no {site.submits} on this machine; start this on a machine that submits jobs"
        raise BadInput(f"{told} ({site.provider}), or take --site workstation.")
    if shlex.quote(str(study.resolve())) != str(study.resolve()):
        told = "whose path holds spaces or signs that a shell reads: Parsl's scripts do not quote it"
        raise BadInput(f"--engine parsl cannot run a study in {study}, {told}; choose another --out.")
    _address(site)


def _address(site: Site) -> str:
    """Choose the address of this machine that the nodes reach; workers on this machine use none but it."""
    if not isinstance(site, ClusterSite):
        return "127.0.0.1"
    import psutil

    interfaces = {
        name: [entry.address for entry in entries if entry.family == socket.AF_INET]
        for name, entries in psutil.net_if_addrs().items()
    }
    if site.address is not None:
        if interfaces.get(site.address):
            return str(interfaces[site.address][0])
        return _resolved(site.address, interfaces)
    outward = [one for found in interfaces.values() for one in found if not one.startswith("127.")]
    own = _resolved(socket.gethostname(), interfaces, strict=False)
    if own in outward:
        return own
    if len(outward) == 1:
        return str(outward[0])
    named = ", ".join(f"{name} ({', '.join(found)})" for name, found in interfaces.items() if found)
    told = "name the address of this machine that the nodes reach in the site file, such as `address: eth0`"
    raise BadInput(f"{told}; there are: {named}.")


def _resolved(name: str, interfaces: dict[str, list[str]], strict: bool = True) -> str:
    try:
        return socket.gethostbyname(name)
    except OSError:
        if not strict:
            return ""
        from genret_core.workbench.documents import nearest

        told = f"'address' is {name!r}, which is neither an interface nor an address of this machine"
        raise BadInput(f"{told}{nearest(name, interfaces)}") from None
