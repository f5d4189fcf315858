"""Site files, and what Parsl and schedulers are told; nothing is started, and nothing leaves this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from genret_core.errors import BadInput
from genret_core.workbench.sites import load_site
from genret_core.workbench.sites.file import LocalSite
from genret_core.workbench.sites.node import _devices
from genret_core.workbench.sites.parsl_config import (
    GIVEN,
    NOTICE,
    UNTIL,
    check_usable,
    parsl_config,
    surroundings,
)
from genret_core.workbench.study.engines import chosen_engine

pytest.importorskip("parsl", reason="the extra `sweep` is not installed")
SITES = Path(__file__).parents[2] / "params" / "sites"
SLURM = "provider: slurm\nworkers_per_node: 2\nwalltime: '00:10:00'\n"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU of this machine, no user's choice, and nobody who asks the internet who this machine is."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("GENRET_DEVICE", raising=False)

    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("somebody asked for this machine's address")

    monkeypatch.setattr("parsl.executors.high_throughput.executor.get_all_addresses", asked)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    return path


def executor_of(name: str | Path, folder: Path) -> Any:
    config = parsl_config(load_site(name), folder)
    assert (config.retries, config.usage_tracking, config.run_dir) == (0, 0, str(folder))
    return config.executors[0]


def test_every_site_file_names_its_provider_and_what_it_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_kubernetes(monkeypatch)
    monkeypatch.setattr("genret_core.workbench.sites.parsl_config._address", lambda site: "10.0.0.9")
    made = {path.stem: executor_of(path.stem, tmp_path) for path in SITES.glob("*.yaml")}
    assert {name: type(one.provider).__name__ for name, one in made.items()} == {
        "workstation": "LocalProvider",
        "node-4gpu": "LocalProvider",
        "slurm": "SlurmProvider",
        "pbs": "PBSProProvider",
        "kubernetes": "KubernetesProvider",
    }
    assert all(one.encrypted and one.prefetch_capacity == 0 for one in made.values())
    assert made["node-4gpu"].available_accelerators == ["0", "1", "2", "3"]
    assert made["workstation"].available_accelerators == []
    assert made["slurm"].workers_per_node == made["pbs"].workers_per_node == 4
    slurm, pbs, pods = (made[name].provider for name in ("slurm", "pbs", "kubernetes"))
    assert (slurm.partition, slurm.walltime, slurm.gpus_per_node) == ("gpu", "08:00:00", 4)
    assert (slurm.cores_per_node, slurm.mem_per_node, slurm.exclusive) == (16, 128, False)
    assert (slurm.init_blocks, slurm.min_blocks, slurm.max_blocks) == (1, 0, 4)
    assert made["slurm"].drain_period == 8 * 3600 - NOTICE
    assert (pbs.queue, pbs.cpus_per_node, pbs.select_options) == ("gpu", 16, "ngpus=4:mem=128gb")
    assert pods.persistent_volumes == [("genret-runs", "/study")]
    assert pods.extra_limits == {"nvidia.com/gpu": "1"}


def test_torque_is_asked_for_all_cores_of_the_workers(tmp_path: Path) -> None:
    text = "provider: torque\nworkers_per_node: 2\ncores_per_worker: 3\ngpus_per_node: 2\naddress: lo\n"
    provider = executor_of(written(tmp_path, text + "walltime: 24:00:00\nqueue: q\n"), tmp_path).provider
    assert "nodes=${nodes_per_block}:ppn=6:gpus=2" in provider.template_string
    assert (provider.walltime, provider.queue) == ("24:00:00", "q")  # without quotes YAML counts in base 60


def test_six_workers_on_one_gpu(tmp_path: Path) -> None:
    text = "provider: local\nworkers_per_node: 6\ngpus_per_node: 1\n"
    executor = executor_of(written(tmp_path, text), tmp_path)
    assert executor.available_accelerators == ["0"] * 6 and executor.workers_per_node == 6


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("provider: slurm\npartitoin: gpu\n", ":2: 'partitoin' is not known here; did you mean 'partition'?"),
        ("workers_per_node: 2\n", "site.yaml:1: 'provider' is missing"),
        ("provider: slrum\n", "site.yaml:1: there is no provider 'slrum'; did you mean 'slurm'?"),
        (SLURM.replace("'00:10:00'", "10 hours"), "site.yaml:3: walltime: '10 hours' is no walltime"),
        (SLURM.replace("'00:10:00'", "'00:01:00'"), ":3: walltime: give at least five minutes"),
        ("provider: local\nworkers_per_node: 0\n", ":2: 'workers_per_node' is 0: input should be greater"),
        ("provider: pbs\npartition: gpu\nworkers_per_node: 1\n", ":2: 'partition' is not known here"),
        (SLURM + "blocks: {maks: 3}\n", ":4: 'blocks.maks' is not known here; did you mean 'max'?"),
        ("provider: local\npython: !!python/object:os.system x\n", ":2: could not determine a constructor"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_in_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadInput) as refused:
        load_site(written(tmp_path, text))
    assert told in str(refused.value) and "\n" not in str(refused.value)


def test_a_site_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"there is no site 'slrum'.*did you mean 'slurm'"):
        load_site("slrum")


def test_what_this_machine_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = load_site(written(tmp_path, SLURM + "address: lo\n"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="there is no sbatch on this machine"):
        check_usable(site, tmp_path)
    local = LocalSite(provider="local")
    with pytest.raises(BadInput, match="holds spaces"):
        check_usable(local, tmp_path / "my runs")
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(BadInput, match="does not run on Windows"):
        check_usable(local, tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setitem(sys.modules, "parsl.config", None)
    with pytest.raises(BadInput, match=r"pip install 'genret\[sweep\]'"):
        check_usable(local, tmp_path)


def test_engines_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no engine 'parcel'; did you mean 'parsl'"):
        chosen_engine("parcel", None, tmp_path, workers=2)
    with pytest.raises(BadInput, match="--site goes with --engine parsl"):
        chosen_engine("local", "slurm", tmp_path, workers=2)
    assert chosen_engine("local", None, tmp_path, workers=2).is_local
    assert chosen_engine("parsl", None, tmp_path, workers=3).workers == 3
    four = chosen_engine("parsl", "node-4gpu", tmp_path, workers=2)
    assert (four.workers, four.execute_many) == (4, None)
    assert chosen_engine("parsl", "node-4gpu", tmp_path, workers=6, jobs=6).workers == 6


@pytest.mark.parametrize("address", ["lo", "localhost", "127.0.0.1"])
def test_the_address_that_nodes_reach(tmp_path: Path, address: str) -> None:
    text = f"{SLURM}address: {address}\n"
    assert executor_of(written(tmp_path, text), tmp_path).address == "127.0.0.1"


def test_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"'address' is 'no\.such\.host"):
        executor_of(written(tmp_path, SLURM + "address: no.such.host.invalid\n"), tmp_path)


def test_the_batch_script_that_slurm_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "sbatch"
    program.write_text("#!/bin/sh\necho Submitted batch job 7\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    more = "account: a1\ngpus_per_node: 2\nscheduler_options: [--mail-type=END]\nbefore: [echo prepared]\n"
    provider = executor_of(written(tmp_path, SLURM + more + "address: lo\n"), tmp_path).provider
    provider.script_dir = str(tmp_path)
    assert provider.submit("echo working", 1) == "7"
    [script] = tmp_path.glob("parsl.slurm*")
    text = script.read_text()
    for line in (
        "#SBATCH --mail-type=END", "#SBATCH --account=a1", "#SBATCH --gpus-per-node=2", "#SBATCH --time=10",
        "#SBATCH --cpus-per-task=2", "echo prepared",
    ):  # fmt: skip
        assert line in text.splitlines()
    assert "exclusive" not in text
    said = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True).stdout
    assert "prepared" in said and "working" in said


def test_what_surrounds_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENRET_SAID", "it's $HOME")
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.chdir(tmp_path)
    site = load_site(written(tmp_path, SLURM + f"python: {tmp_path}/env\n"))
    shell = f'{surroundings(site)}\necho "$GENRET_SAID|${GIVEN}|${UNTIL}|$PWD|$PATH"'
    assert "secret" not in shell
    bare = {"CUDA_VISIBLE_DEVICES": "4,6", "PATH": os.environ["PATH"]}
    said = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, env=bare, check=True).stdout
    kept, given, until, folder, path = said.strip().split("|")
    assert (kept, given, folder) == ("it's $HOME", "4,6", str(tmp_path))
    assert abs(float(until) - time.time() - (600 - NOTICE)) < 60
    assert path.startswith(f"{tmp_path}/env/bin:")


def test_a_worker_shares_out_what_the_scheduler_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GIVEN, "4,6")
    monkeypatch.setenv("PARSL_WORKER_RANK", "3")
    monkeypatch.setenv(
        "CUDA_VISIBLE_DEVICES", "1"
    )  # what Parsl made of it: wrong where devices keep their numbers
    with _devices(2, 1):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "6"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    monkeypatch.delenv(GIVEN)
    with _devices(2, None):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"


def fake_kubernetes(monkeypatch: pytest.MonkeyPatch) -> None:
    from parsl.providers.kubernetes import kube

    nothing: Callable[..., None] = lambda *_: None  # noqa: E731
    config = SimpleNamespace(load_kube_config=nothing)
    monkeypatch.setattr(kube, "_kubernetes_enabled", True)
    monkeypatch.setattr(kube, "config", config, raising=False)
    monkeypatch.setattr(kube, "client", SimpleNamespace(CoreV1Api=nothing), raising=False)


def test_kubernetes_without_its_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from parsl.providers.kubernetes import kube

    monkeypatch.setattr(kube, "_kubernetes_enabled", False)
    monkeypatch.setattr("genret_core.workbench.sites.parsl_config._address", lambda site: "10.0.0.9")
    with pytest.raises(BadInput, match="pip install kubernetes"):
        executor_of("kubernetes", tmp_path)
