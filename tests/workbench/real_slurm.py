"""A real SLURM on one machine, with hosts of its own: a head that submits, and nodes that can lose power.

Each host has a name, a network, and process numbers of its own (namespaces); all share the disk and the
processors. They hang on a bridge that lies in the head's network, so that nothing of this shows among the
interfaces of the machine, and whatever else runs there is out of reach, as is any other network.

Every host lives as long as its first process, and all of them as long as the head's, which ends with the
process that made it, however that ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "sinfo", "scontrol")
KERNEL = ("ip", "nsenter", "unshare", "setpriv")
OWN = ("--net", "--uts", "--pid", "--mount")
NETWORK = "192.0.2"  # of documentation (RFC 5737): nobody's, and no route leads to it
SBIN = "/usr/sbin:/sbin"
PATIENCE = 60.0  # seconds for daemons to come up; a busy machine takes its time
# the first process of a host: it has no work, and buries what is orphaned
INIT = 'hostname "$1" && ip link set lo up && while :; do sleep 1; done'

SLURM_CONF = """
ClusterName=genret-test
SlurmctldHost=head({network}.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={at}/munge/socket
StateSaveLocation={at}/state
SlurmdSpoolDir={at}/spool/%n
SlurmctldLogFile={at}/log/slurmctld
SlurmdLogFile={at}/log/%n
SlurmctldPidFile={at}/slurmctld.pid
SlurmdPidFile={at}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=20
KillWait=5
EnforcePartLimits=ALL
GresTypes=gpu
{nodes}
PartitionName=gpu Nodes=ALL Default=YES State=UP
PartitionName=short Nodes=ALL MaxTime=30 State=UP
"""


def why_not() -> str:
    """Say why there can be no such cluster here; empty if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "hosts of one's own take root on Linux"
    path = _surroundings()["PATH"]
    absent = [name for name in (*KERNEL, *PROGRAMS) if shutil.which(name, path=path) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian: iproute2, slurm-wlm, munge)"
    tried = subprocess.run(
        ["unshare", *OWN, "--fork", "--mount-proc", "sh", "-c", "hostname probe && ip link set lo up"],
        env=_surroundings(),
        capture_output=True,
        text=True,
    )
    return f"hosts of one's own are not allowed here: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass
class Host:
    """A host that runs.

    Attributes
    ----------
    name : str
        What it calls itself.
    first : int
        Its first process, by the machine's numbers.
    variables : dict
        The environment of what runs on it.
    """

    name: str
    first: int
    variables: dict[str, str] = field(default_factory=dict)

    def words(self, *command: object) -> list[str]:
        """Give the words that run a command on it, in the present folder."""
        here = ["env", f"--chdir={os.getcwd()}", *map(str, command)]
        return ["nsenter", f"--target={self.first}", *OWN, "--", *here]

    def start(self, *command: object, log: Path, **more: Any) -> subprocess.Popen[str]:
        """Start a command on it, with its output in a file."""
        with open(log, "a", encoding="utf-8") as out:
            return subprocess.Popen(
                self.words(*command), stdout=out, stderr=out, env=self.environment(**more), text=True
            )

    def run(self, *command: object, limit: float = 300, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a command on it; what it printed is in `stdout`, errors included."""
        return subprocess.run(
            self.words(*command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=self.environment(**more),
            text=True,
            timeout=limit,
        )

    def environment(self, **more: str) -> dict[str, str]:
        """Give the variables of a command on it."""
        return {**_surroundings(), **self.variables, **more}

    def processes(self, *words: str) -> list[psutil.Process]:
        """List its processes whose command line has all of some words, by the machine's numbers."""
        own = os.readlink(f"/proc/{self.first}/ns/pid")
        found = []
        for process in psutil.process_iter():
            try:
                line = " ".join(process.cmdline())
                if os.readlink(f"/proc/{process.pid}/ns/pid") == own and all(one in line for one in words):
                    found.append(process)
            except (OSError, psutil.Error):
                continue
        return found

    def ip(self, words: str) -> None:
        """Change its network, with the machine's own process numbers."""
        inside = ["nsenter", f"--target={self.first}", "--net", "ip", *words.split()]
        subprocess.run(inside, env=_surroundings(), check=True)

    def lose_power(self) -> None:
        """End it at once: its cable is dead before its processes are, so that nobody hears a last word."""
        self.ip("link delete eth0")  # both ends, so that it can be plugged in anew
        os.kill(self.first, signal.SIGKILL)
        wait_for(lambda: not psutil.pid_exists(self.first), f"the end of {self.name}")


class Cluster:
    """A head and its nodes, with SLURM on them; see `cluster`.

    Attributes
    ----------
    at : Path
        Where SLURM's files lie.
    head : Host
        Where `sbatch` is.
    nodes : dict
        The other hosts, by name.
    """

    def __init__(self, at: Path, nodes: int, gpus: int) -> None:
        self.at = at
        self.gpus = gpus
        self.names = [f"node{i}" for i in range(1, nodes + 1)]
        self.nodes: dict[str, Host] = {}
        self.started: list[subprocess.Popen[bytes]] = []
        self._write()

    def start(self) -> None:
        """Start the head, then the nodes, and wait until SLURM has them all."""
        self.head = self._boot("head")
        self._on_head("link add eth0 type bridge", f"address add {NETWORK}.1/24 dev eth0", "link set eth0 up")
        files = ("key-file", "socket", "pid-file", "log-file", "seed-file")
        at = self.at / "munge"
        self._must(self.head, "munged", "--force", *(f"--{name}={at / name.split('-')[0]}" for name in files))
        self._must(self.head, "slurmctld", "-c")
        for name in self.names:
            self.boot(name)
        self.wait_idle()

    def boot(self, name: str) -> Host:
        """Start a node, for the first time or after it lost power."""
        number = 1 + self.names.index(name)
        host = self.nodes[name] = self._boot(name, self.head)
        self._on_head(
            f"link add {name} type veth peer name eth0 netns {host.first}",
            f"link set {name} master eth0 up",
        )
        host.ip(f"address add {NETWORK}.{10 + number}/24 dev eth0")
        host.ip("link set eth0 up")
        self._must(host, "slurmd")
        return host

    def wait_idle(self, *names: str) -> None:
        """Wait until SLURM counts nodes (default: all) as ready and idle, and nobody's job is queued."""

        def ready() -> bool:
            states = self.head.run(
                "sinfo", "--Node", "--noheader", "--partition=gpu", "--format=%N %T"
            ).stdout
            known = dict(line.split() for line in states.splitlines() if len(line.split()) == 2)
            return all(known.get(name) == "idle" for name in names or self.names) and not self.queue()

        wait_for(ready, "idle nodes", lambda: self.head.run("sinfo", "-N", "-l").stdout)

    def queue(self) -> list[tuple[str, str, str]]:
        """List number, state and nodes of the batch jobs that SLURM knows of."""
        printed = self.head.run("squeue", "--noheader", "--format=%i|%t|%N").stdout
        found = [line.split("|") for line in printed.splitlines() if line.count("|") == 2]
        return [(number, state, nodes) for number, state, nodes in found]

    def end(self) -> None:
        """Take everything away: the nodes live within the head, and end with it."""
        for process in self.started[:1]:
            process.kill()
        for process in self.started:
            process.wait()

    def _write(self) -> None:
        for name in ("state", "spool", "log", "munge", *(f"spool/{name}" for name in self.names)):
            (self.at / name).mkdir(mode=0o755)
        key = self.at / "munge" / "key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        memory = min(8000, psutil.virtual_memory().total // 2**20 // 2)
        nodes = "\n".join(
            f"NodeName={name} NodeAddr={NETWORK}.{10 + i} CPUs=2 RealMemory={memory} Gres=gpu:{self.gpus}"
            for i, name in enumerate(self.names, 1)
        )
        text = SLURM_CONF.format(network=NETWORK, at=self.at, nodes=nodes)
        (self.at / "slurm.conf").write_text(text, encoding="utf-8")
        # files that are always there stand for GPUs
        devices = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random")[: self.gpus]
        gres = f"NodeName={','.join(self.names)} Name=gpu File={','.join(devices)}\n"
        (self.at / "gres.conf").write_text(gres, encoding="utf-8")

    def _boot(self, name: str, within: Host | None = None) -> Host:
        words = ["unshare", *OWN, "--fork", "--kill-child", "--mount-proc", "sh", "-c", INIT, "sh", name]
        if within is not None:
            words = ["nsenter", f"--target={within.first}", "--pid", "--mount", "--", *words]
        words = ["setpriv", "--pdeathsig=KILL", *words]
        with open(self.at / "log" / f"{name}-host", "a", encoding="utf-8") as log:
            started = subprocess.Popen(
                words, env=_surroundings(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.started.append(started)
        first: list[int] = []

        def is_up() -> bool:
            below = psutil.Process(started.pid).children(recursive=True)
            first[:] = [one.ppid() for one in below if one.name() == "sleep"]
            return bool(first)

        wait_for(is_up, f"the first process of {name}")
        return Host(name, first[0], {"SLURM_CONF": str(self.at / "slurm.conf")})

    def _on_head(self, *changes: str) -> None:
        for words in changes:
            self.head.ip(words)

    def _must(self, host: Host, *command: object) -> None:
        done = host.run(*command)
        if done.returncode:
            raise RuntimeError(f"{command[0]} did not start on {host.name}: {done.stdout}")


@contextmanager
def cluster(nodes: int = 2, gpus: int = 2) -> Iterator[Cluster]:
    """Start a cluster, and take it away with the block.

    Parameters
    ----------
    nodes, gpus : int
        How many, and how many GPUs SLURM believes each of them to have.

    Raises
    ------
    RuntimeError
        It did not come up, with what its daemons said.
    """
    at = Path(tempfile.mkdtemp(prefix="genret-slurm-"))  # short: a socket's path has 107 bytes at most
    made = Cluster(at, nodes, gpus)
    try:
        made.start()
        yield made
    finally:
        made.end()
        shutil.rmtree(at, ignore_errors=True)


def wait_for(
    what: Callable[[], bool], name: str, said: Callable[[], str] = str, limit: float = PATIENCE
) -> None:
    """Wait until something is so.

    Raises
    ------
    RuntimeError
        It is not, after `limit` seconds.
    """
    until = time.monotonic() + limit
    while not what():
        if time.monotonic() > until:
            raise RuntimeError(f"waited {limit:.0f} s in vain for {name}: {said()}")
        time.sleep(0.2)


def _surroundings() -> dict[str, str]:
    """Give the environment that hosts start with: daemons lie where root's programs do."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:{SBIN}", "LC_ALL": "C.UTF-8"}
