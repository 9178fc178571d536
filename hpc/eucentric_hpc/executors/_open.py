"""One seam to compute: a name in the settings becomes a `concurrent.futures.Executor`.

Whatever runs behind it: a result is the task's result, a task's exception keeps its type, a worker that is
preempted or dies is survived, and leaving the context, by an exception too, leaves no process and no job.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path

from eucentric_core import ConfigurationError, GlobusSettings, HpcSettings

from ._compute import ComputeExecutor
from ._globus_compute import globus_compute
from ._parsl_local import parsl_local
from ._parsl_slurm import parsl_slurm
from ._processes import processes

__all__ = ["EXECUTORS", "open_executor"]

_Opener = Callable[[HpcSettings, Path, GlobusSettings], AbstractContextManager[ComputeExecutor]]

EXECUTORS: Mapping[str, _Opener] = {
    "globus-compute": globus_compute,
    "parsl-local": lambda settings, run_dir, _globus: parsl_local(settings, run_dir),
    "parsl-slurm": lambda settings, run_dir, _globus: parsl_slurm(settings, run_dir),
    "processes": lambda settings, run_dir, _globus: processes(settings, run_dir),
}
"""The kinds of compute, by the name that `settings.hpc.executor` selects."""


def open_executor(
    settings: HpcSettings, run_dir: Path, *, globus: GlobusSettings | None = None
) -> AbstractContextManager[Executor]:
    """Workers to submit tasks to, for as long as the context is open.

    Functions must be importable by name in a worker; pass large data by path, not as arguments. At the end of
    the context running tasks are awaited; after an exception they are ended.

    Args:
        settings: which kind (see `EXECUTORS`), which site, how many workers, how often a task is tried again.
        run_dir: folder for the logs of this use. On a cluster the nodes must see it, too.
        globus: who this machine is at Globus, completed by `GlobusSettings.within`; for Globus Compute.

    Raises:
        ConfigurationError: an unknown kind, which names the known ones; on entering also a site that is no
            good or a job that the batch system refuses.
        ServiceUnavailableError: no worker came up in time (raised on entering); names the log.
    """
    if settings.executor not in EXECUTORS:
        raise ConfigurationError(
            f"There is no executor {settings.executor!r}.",
            safe="nothing was started.",
            next_step=f"set hpc.executor to one of {', '.join(sorted(EXECUTORS))}.",
        )
    run_dir = run_dir.absolute()
    run_dir.mkdir(parents=True, exist_ok=True)
    return EXECUTORS[settings.executor](settings, run_dir, globus or GlobusSettings())
