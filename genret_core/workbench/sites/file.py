"""Site files: on which machines the cells of a study run, checked before anything is submitted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from genret_core.errors import BadInput
from genret_core.workbench import project
from genret_core.workbench.documents import nearest, read_mapping, validate

SHORTEST_WALLTIME = 300  # seconds: a batch job needs some to start, and leaves some unused at its end
WALLTIME = re.compile(r"(?:(\d+)-)?(\d{1,3}):(\d{2}):(\d{2})")


class Site(BaseModel):
    """What every kind of site has: the workers of a node and their surroundings.

    Attributes
    ----------
    workers_per_node : int or None
        Cells side by side on a node, one thread each; None: as many as cores.
    cores_per_worker : int
        Cores that a worker is given.
    gpus_per_node : int or None
        GPUs of a node, shared out one per worker in turn; None: those that are visible (0 on a cluster).
    before : tuple of str
        Lines of shell that run on a node before its workers start.
    python : str or None
        A virtual environment, or its interpreter, as the nodes see it; None: this very one.
    address : str or None
        Address, host name or network interface of this machine that the nodes reach.
    notebooks : {"here", "workers"}
        Where notebooks run.
    heartbeat, lost_after : int
        Seconds between signs of life, and without one until a node counts as lost.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    directive: ClassVar[str] = "#"
    submits: ClassVar[str | None] = None  # the scheduler's command, without which nothing can be submitted

    provider: str
    workers_per_node: int | None = Field(default=None, ge=1)
    cores_per_worker: int = Field(default=1, ge=1)
    gpus_per_node: int | None = Field(default=None, ge=0)
    before: tuple[str, ...] = ()
    python: str | None = None
    address: str | None = None
    notebooks: Literal["here", "workers"] = "here"
    heartbeat: int = Field(default=10, ge=1)
    lost_after: int = Field(default=120, ge=5)

    @field_validator("before", mode="before")
    @classmethod
    def _lines(cls, given: Any) -> Any:
        return tuple(given.splitlines()) if isinstance(given, str) else given

    @property
    def nodes_at_most(self) -> int:
        """Nodes that may be at work at a time."""
        return 1


class LocalSite(Site):
    """The machine that the command runs on."""

    provider: Literal["local"]


class Blocks(BaseModel):
    """Batch jobs at a time: at the start, at least, and at most."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    init: int = Field(default=1, ge=0)
    min: int = Field(default=0, ge=0)
    max: int = Field(default=1, ge=1)


class ClusterSite(Site):
    """Several machines behind a scheduler, with a shared disk; a block is one batch job (or pod).

    `memory_per_node` counts in GB.
    """

    workers_per_node: int = Field(ge=1)
    gpus_per_node: int = Field(default=0, ge=0)
    memory_per_node: int | None = Field(default=None, ge=1)
    nodes: int = Field(default=1, ge=1)
    blocks: Blocks = Blocks()

    @property
    def nodes_at_most(self) -> int:
        """Nodes that may be at work at a time."""
        return self.nodes * self.blocks.max

    @property
    def cores_per_node(self) -> int:
        """Cores to ask for on each node."""
        return self.workers_per_node * self.cores_per_worker


class BatchSite(ClusterSite):
    """A scheduler of batch jobs, each of which ends when its walltime (seconds) is up."""

    walltime: int
    account: str | None = None
    scheduler_options: tuple[str, ...] = ()

    @field_validator("walltime", mode="before")
    @classmethod
    def _walltime(cls, given: Any) -> Any:
        # YAML reads 24:00:00 without quotes as a number in base 60, which is just the seconds
        found = WALLTIME.fullmatch(given) if isinstance(given, str) else None
        if found is not None:
            days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
            given = ((24 * days + hours) * 60 + minutes) * 60 + seconds
        if not isinstance(given, int) or isinstance(given, bool):
            raise ValueError(f"{given!r} is no walltime; write HH:MM:SS or D-HH:MM:SS in quotes")
        if given < SHORTEST_WALLTIME:
            raise ValueError("give at least five minutes, as HH:MM:SS in quotes")
        return given

    @field_validator("scheduler_options", mode="before")
    @classmethod
    def _options(cls, given: Any) -> Any:
        return tuple(given.splitlines()) if isinstance(given, str) else given

    @property
    def clock(self) -> str:
        """The walltime as HH:MM:SS."""
        return f"{self.walltime // 3600:02d}:{self.walltime // 60 % 60:02d}:{self.walltime % 60:02d}"

    def directives(self, *own: str) -> str:
        """Write the scheduler's options as lines of a batch script, each with the scheduler's mark."""
        lines = [*own, *self.scheduler_options]
        return "\n".join(line if line.startswith("#") else f"{self.directive} {line}" for line in lines)


class SlurmSite(BatchSite):
    """SLURM."""

    directive: ClassVar[str] = "#SBATCH"
    submits: ClassVar[str | None] = "sbatch"
    provider: Literal["slurm"]
    partition: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclusive: bool = False


class PbsSite(BatchSite):
    """PBS Professional and OpenPBS (`pbs`), or Torque (`torque`)."""

    directive: ClassVar[str] = "#PBS"
    submits: ClassVar[str | None] = "qsub"
    provider: Literal["pbs", "torque"]
    queue: str | None = None


class KubernetesSite(ClusterSite):
    """Pods of one image; `volumes` maps claims to where they are mounted, the study's folder among them."""

    provider: Literal["kubernetes"]
    image: str
    memory_per_node: int = Field(ge=1)
    namespace: str = "default"
    volumes: dict[str, str] = Field(min_length=1)
    service_account: str | None = None
    pull_secret: str | None = None


KINDS: dict[str, type[Site]] = {
    "local": LocalSite,
    "slurm": SlurmSite,
    "pbs": PbsSite,
    "torque": PbsSite,
    "kubernetes": KubernetesSite,
}


def load_site(file_or_name: str | Path | None = None) -> Site:
    """Read a site.

    Parameters
    ----------
    file_or_name : str or Path, optional
        A YAML file, or the name of one in `params/sites` (`slurm`); by default this machine, as it is.

    Raises
    ------
    BadInput
        There is no such file, or something in it cannot be used (file, line, key and what to do).
    """
    if file_or_name is None:
        return LocalSite(provider="local")
    document = read_mapping(_find(file_or_name))
    kind = document.value.get("provider")
    if kind is None:
        raise BadInput(f"{document.path}:1: 'provider' is missing; write one of {', '.join(KINDS)}.")
    if not isinstance(kind, str) or kind not in KINDS:
        where = document.where(["provider"])
        raise BadInput(f"{where}: there is no provider {kind!r}{nearest(str(kind), KINDS)}")
    return validate(KINDS[kind], document)


def _find(file_or_name: str | Path) -> Path:
    given = Path(file_or_name).expanduser()
    if given.is_file():
        return given
    sites = project.project_root() / "params" / "sites"
    named = sites / f"{given}.yaml"
    if named.is_file():
        return named
    known = sorted(path.stem for path in sites.glob("*.yaml"))
    hint = nearest(str(given), known)
    raise BadInput(f"there is no site {str(file_or_name)!r}: neither a file nor one of {sites}{hint}")
