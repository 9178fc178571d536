"""What a cluster is like: what its batch system wants to know, and what its workers need to start."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field

from eucentric_core import FrozenModel, Identifier

__all__ = ["CacheSite", "GlobusComputeSite", "Site", "SlurmSite"]


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("give one line of printable characters")
    return text


def _absolute(path: str) -> str:
    if not PurePosixPath(path).is_absolute():
        raise ValueError("give an absolute path")
    return _one_line(path)


# What ends up in a `#SBATCH` line or a shell command without quotes.
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.,:@%/+=\[\]-]{1,200}$")]
_Path = Annotated[str, Field(max_length=1000), AfterValidator(_absolute)]
_Uuid = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]


class SlurmSite(FrozenModel):
    """What a job asks Slurm for. What is left out is left to the cluster's own defaults.

    Args:
        partition: where to queue.
        account: whom to charge.
        qos: quality of service.
        constraint: features of a node, e.g. `gpu&hbm80g`.
        reservation: nodes set apart.
        walltime: longest run of a job, `HH:MM:SS`; a training that takes longer goes on in the next job.
        nodes: nodes of one job.
        jobs: jobs at a time.
        cores_per_node: cores a job asks for on each node.
        gpus_per_node: GPUs a job asks for on each node; each worker gets one.
        memory_gib_per_node: memory a job asks for on each node.
        workers_per_node: tasks at a time on a node; None: one per GPU, or `hpc.workers` without GPUs.
        exclusive: share the nodes with nobody.
        options: more options of sbatch, e.g. `--licenses=scratch`.
        submit_address: how the nodes reach the machine that submits; None: by each of its addresses in turn.
        poll_s: time between two looks at the queue. Many clusters want no less than 30 s.
        heartbeat_s: time between two signs of life of a node; one that gives none six times is lost.
        queue_timeout_s: a job that has waited this long in the queue is given up.
    """

    partition: _Word | None = None
    account: _Word | None = None
    qos: _Word | None = None
    constraint: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.,:&|*()\[\]-]{1,200}$")] | None = None
    reservation: _Word | None = None
    walltime: Annotated[str, Field(pattern=r"^\d{1,3}:[0-5]\d:[0-5]\d$")] = "01:00:00"
    nodes: Annotated[int, Field(ge=1, le=1024)] = 1
    jobs: Annotated[int, Field(ge=1, le=64)] = 1
    cores_per_node: Annotated[int, Field(ge=1, le=1024)] | None = None
    gpus_per_node: Annotated[int, Field(ge=0, le=64)] = 0
    memory_gib_per_node: Annotated[int, Field(ge=1, le=65536)] | None = None
    workers_per_node: Annotated[int, Field(ge=1, le=1024)] | None = None
    exclusive: bool = False
    options: tuple[Annotated[str, Field(pattern=r"^--?[A-Za-z][\x21-\x7e]{0,200}$")], ...] = ()
    submit_address: _Word | None = None
    poll_s: Annotated[float, Field(ge=1, le=600)] = 30.0
    heartbeat_s: Annotated[int, Field(ge=1, le=120)] = 10
    queue_timeout_s: Annotated[float, Field(ge=1, le=30 * 86400)] = 86400.0

    @property
    def walltime_s(self) -> int:
        """The walltime in seconds."""
        hours, minutes, seconds = (int(part) for part in self.walltime.split(":"))
        return 3600 * hours + 60 * minutes + seconds


class GlobusComputeSite(FrozenModel):
    """A Globus Compute endpoint.

    Args:
        endpoint: its id, from `globus-compute-endpoint list`.
        function: the one function that an endpoint with a list of allowed ones runs for us, as
            `eucentric globus register-function --training` printed it; None: it is registered each time.
        submissions: to the service within `submissions_period_s`; what is submitted faster goes together.
        submissions_period_s: see `submissions`.
    """

    endpoint: _Uuid
    function: _Uuid | None = None
    submissions: Annotated[int, Field(ge=1, le=8)] = 4
    submissions_period_s: Annotated[int, Field(ge=1, le=32)] = 16


class CacheSite(FrozenModel):
    """Where a node keeps copies of training data.

    Args:
        folder: on the node's own disk.
        max_gib: beyond this the data used longest ago go.
    """

    folder: _Path = "/tmp/eucentric-cache"  # noqa: S108 - of the node; what is taken from it is verified
    max_gib: Annotated[float, Field(gt=0, le=65536)] = 20.0


class Site(FrozenModel):
    """One cluster, as its site file describes it.

    Args:
        name: how messages call it.
        python: interpreter of the workers' own lean environment; None: the one that submits.
        modules: environment modules to load, in order.
        container: command that runs what follows it in a container, e.g. `apptainer exec --nv image.sif`.
        worker_init: shell lines to run before the workers start, after the modules are loaded.
        slurm: of its batch system.
        globus_compute: of its endpoint.
        cache: of its nodes; None: training data are read where they lie.
    """

    name: Identifier
    python: _Path | None = None
    modules: tuple[_Word, ...] = ()
    container: Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_one_line)] | None = None
    worker_init: Annotated[str, Field(max_length=10_000)] = ""
    slurm: SlurmSite | None = None
    globus_compute: GlobusComputeSite | None = None
    cache: CacheSite | None = None

    @property
    def container_words(self) -> tuple[str, ...]:
        """The words of the container command; none without a container."""
        return tuple(shlex.split(self.container)) if self.container else ()
