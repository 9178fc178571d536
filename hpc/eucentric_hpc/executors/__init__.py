"""Where work runs: pools of processes, Slurm and Globus Compute behind one `concurrent.futures.Executor`."""

from __future__ import annotations

from ._compute import ComputeExecutor, waiting_reason
from ._deadline import DeadlineExecutor, until
from ._errors import WorkerLostError
from ._forked import forked_workers
from ._left_behind import cancel_jobs_left_behind
from ._open import EXECUTORS, open_executor
from ._site import CacheSite, GlobusComputeSite, Site, SlurmSite
from ._site_file import SiteError, load_site, site_of
from ._task import run_call

__all__ = [
    "EXECUTORS",
    "CacheSite",
    "ComputeExecutor",
    "DeadlineExecutor",
    "GlobusComputeSite",
    "Site",
    "SiteError",
    "SlurmSite",
    "WorkerLostError",
    "cancel_jobs_left_behind",
    "forked_workers",
    "load_site",
    "open_executor",
    "run_call",
    "site_of",
    "until",
    "waiting_reason",
]
