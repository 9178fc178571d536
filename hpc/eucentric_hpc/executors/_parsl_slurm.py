"""`parsl-slurm`: Parsl on the nodes of a cluster whose batch system is Slurm."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from eucentric_core import ConfigurationError, HpcSettings

from ._compute import ComputeExecutor, computing
from ._environment import site_lines, worker_environment
from ._errors import no_worker
from ._parsl import running_kernel
from ._parsl_kernels import Kernels
from ._parsl_pool import Pool
from ._site import Site, SlurmSite
from ._site_file import SiteError, site_of

if TYPE_CHECKING:
    from ._slurm_provider import WatchfulSlurmProvider

__all__ = ["parsl_slurm"]

_log = logging.getLogger(__name__)

_MARGIN_S = 2.0
_POLL_S = 0.05


@contextmanager
def parsl_slurm(settings: HpcSettings, run_dir: Path) -> Iterator[ComputeExecutor]:
    """See `open_executor`. `run_dir` must be on a file system that the nodes share."""
    site, slurm = _site(settings)
    if shutil.which("sbatch") is None:
        raise ConfigurationError(
            "There is no Slurm on this machine: `sbatch` is not on the PATH.",
            safe="nothing was started.",
            next_step="run this where jobs can be submitted, or use Globus Compute (hpc.executor).",
        )
    from ._slurm_provider import WatchfulSlurmProvider, cancel_left_behind

    if left := cancel_left_behind(run_dir):
        _log.warning("cancelled jobs of an earlier, killed run: %s", ", ".join(left))
    workers_per_node = slurm.workers_per_node or slurm.gpus_per_node or settings.workers
    environment = worker_environment(workers_per_node, slurm.cores_per_node)
    provider = WatchfulSlurmProvider(slurm, site_lines(site, environment), settings.grace_s, run_dir)

    def too_late() -> str | None:
        if provider.waited_s() < slurm.queue_timeout_s:
            return None
        return f"{provider.waiting()}: longer than the site's queue_timeout_s of {slurm.queue_timeout_s:g} s"

    pool = Pool(
        provider,
        workers_per_node,
        # Slurm's own SIGKILL comes after this time.
        grace_s=max(1.0, settings.grace_s - _MARGIN_S),
        gpus_per_node=slurm.gpus_per_node,
        address=slurm.submit_address,
        python=site.python or sys.executable,
        container=site.container_words,
        heartbeat_s=slurm.heartbeat_s,
        blocks_at_once=slurm.jobs,
        too_late=too_late,
    )
    try:
        with running_kernel(pool, run_dir, provider.waiting) as (kernels, backend):
            _wait_until_accepted(kernels, provider, run_dir, settings.start_timeout_s)
            with computing(backend, settings, run_dir) as compute:
                yield compute
    finally:
        provider.end_all(settings.grace_s)


def _site(settings: HpcSettings) -> tuple[Site, SlurmSite]:
    site = site_of(settings)
    if site.slurm is None:
        raise SiteError(
            f"The site {site.name} says nothing of Slurm.",
            safe="nothing was started.",
            next_step="add a table [slurm] to its file; infra/sites has examples.",
        )
    return site, site.slurm


def _wait_until_accepted(
    kernels: Kernels, provider: WatchfulSlurmProvider, run_dir: Path, timeout_s: float
) -> None:
    """Wait until Slurm has taken the job; how long it then waits in the queue is another matter."""
    deadline = time.monotonic() + timeout_s
    while not provider.resources:
        if provider.refusal is not None:
            raise ConfigurationError(
                f"Slurm refused the job: {provider.refusal}.",
                safe="nothing runs and nothing is queued.",
                next_step="correct the table [slurm] of the site file.",
            )
        kernels.renew()
        if (broken := kernels.broken()) is not None:
            raise broken
        if time.monotonic() > deadline:
            raise no_worker(f"Slurm took no job within {timeout_s:g} s", run_dir)
        time.sleep(_POLL_S)
