"""Parsl's Slurm provider, looking at the queue as often as the site allows. Imports Parsl."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from parsl.jobs.states import JobState, JobStatus
from parsl.launchers import SimpleLauncher, SrunLauncher
from parsl.providers import SlurmProvider
from parsl.providers.errors import SubmitException

from eucentric_core import ServiceUnavailableError

from ._parsl_kernels import LABEL
from ._site import SlurmSite
from ._squeue import SlurmJob, cancel_jobs, jobs_of_mine, waiting_sentence

__all__ = ["RECORD", "WatchfulSlurmProvider", "cancel_left_behind"]

_log = logging.getLogger(__name__)

RECORD = "slurm-jobs"
"""File with the ids of submitted jobs, in the folder of the executor."""
_END_POLL_S = 0.5
_STATES = {
    **dict.fromkeys(["PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED"], JobState.PENDING),
    **dict.fromkeys(["RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "RESIZING"], JobState.RUNNING),
    **dict.fromkeys(["SUSPENDED", "STOPPED", "REQUEUE_HOLD", "SPECIAL_EXIT"], JobState.HELD),
    **dict.fromkeys(["TIMEOUT", "DEADLINE", "PREEMPTED"], JobState.TIMEOUT),
    **dict.fromkeys(["FAILED", "NODE_FAIL", "BOOT_FAIL", "OUT_OF_MEMORY", "REVOKED"], JobState.FAILED),
    "CANCELLED": JobState.CANCELLED,
    "COMPLETED": JobState.COMPLETED,
}


class WatchfulSlurmProvider(SlurmProvider):
    """Jobs that Slurm queues again after a preemption or a node's failure, and may be watched meanwhile.

    Args:
        site: what to ask for.
        worker_init: shell lines before the workers.
        grace_s: how long before the walltime a job is told to stop.
        run_dir: where the ids of submitted jobs are written down, for whoever cleans up after a crash.
    """

    def __init__(self, site: SlurmSite, worker_init: str, grace_s: float, run_dir: Path) -> None:
        self._poll_s = math.ceil(site.poll_s)
        self._record = run_dir / RECORD
        self._lock = threading.Lock()
        self._seen: dict[str, SlurmJob] = {}
        self._queued_s: float | None = None
        self.refusal: str | None = None
        super().__init__(
            partition=site.partition,
            account=site.account,
            qos=site.qos,
            constraint=site.constraint,
            nodes_per_block=site.nodes,
            cores_per_node=site.cores_per_node,
            mem_per_node=site.memory_gib_per_node,
            gpus_per_node=site.gpus_per_node or None,
            init_blocks=site.jobs,
            min_blocks=site.jobs,
            max_blocks=site.jobs,
            walltime=site.walltime,
            exclusive=site.exclusive,
            scheduler_options=_options(site, grace_s),
            worker_init=worker_init,
            cmd_timeout=60,
            launcher=SimpleLauncher() if site.nodes == 1 else SrunLauncher(),
        )

    @property
    def status_polling_interval(self) -> int:
        """Seconds; Parsl's own is 60, and so long would nobody notice that a job has ended."""
        return self._poll_s

    def submit(self, command: str, tasks_per_node: int, job_name: str = "parsl.slurm") -> str:
        """Submit a job and write its id down."""
        try:
            job = str(super().submit(command, tasks_per_node, job_name))
        except SubmitException as error:
            self.refusal = " ".join(str(error.stderr or error).split())
            raise
        with self._record.open("a", encoding="utf-8") as record:
            record.write(f"{job}\n")
        with self._lock:
            self._queued_s = self._queued_s or time.monotonic()
        return job

    def _status(self) -> None:
        try:
            listed = jobs_of_mine()
        except ServiceUnavailableError as error:
            _log.warning("%s", error)
            return
        mine = {job: listed.get(job) for job in self._jobs()}
        for job, found in mine.items():
            if self.resources[job]["status"].terminal:
                continue
            # Slurm forgets jobs some minutes after their end.
            state = JobState.COMPLETED if found is None else _STATES.get(found.state, JobState.UNKNOWN)
            self.resources[job]["status"] = JobStatus(
                state,
                stdout_path=self.resources[job]["job_stdout_path"],
                stderr_path=self.resources[job]["job_stderr_path"],
            )
        with self._lock:
            self._seen = {job: found for job, found in mine.items() if found is not None}
            if any(job.live and not job.waiting for job in self._seen.values()):
                self._queued_s = None
            elif self._queued_s is None:
                self._queued_s = time.monotonic()

    def _jobs(self) -> list[str]:
        return [str(job) for job in self.resources]

    def waited_s(self) -> float:
        """How long nothing has been running; 0 while something is."""
        with self._lock:
            return 0.0 if self._queued_s is None else time.monotonic() - self._queued_s

    def waiting(self) -> str | None:
        """Why nothing runs yet, as of the last look at the queue; None when something does."""
        with self._lock:
            seen = list(self._seen.values())
        if not seen:
            return "submitted to Slurm"
        return waiting_sentence(seen, self.waited_s())

    def end_all(self, grace_s: float) -> None:
        """Cancel every job and wait until Slurm lists none; what is left after the grace is killed."""
        jobs = self._jobs()
        try:
            deadline = time.monotonic() + grace_s
            while live := _live(jobs):
                late = time.monotonic() > deadline
                cancel_jobs(live, kill=late)
                if late and time.monotonic() > deadline + grace_s:
                    _log.error("Slurm still lists the cancelled jobs %s", ", ".join(live))
                    return
                time.sleep(_END_POLL_S)
        except ServiceUnavailableError as error:
            _log.error("the jobs %s may be left in Slurm's queue: %s", ", ".join(jobs), error)
            return
        self._record.unlink(missing_ok=True)


def cancel_left_behind(run_dir: Path) -> list[str]:
    """Cancel jobs that an owner of this folder submitted and, killed, could not cancel.

    Raises:
        ServiceUnavailableError: Slurm does not answer.
    """
    record = run_dir / RECORD
    if not record.exists():
        return []
    known = jobs_of_mine()
    left = [
        job
        for job in record.read_text(encoding="utf-8").split()
        # Ids are used again after some years; names tell whose job it is.
        if job in known and known[job].live and LABEL in known[job].name
    ]
    cancel_jobs(left)
    record.unlink(missing_ok=True)
    return left


def _live(jobs: Sequence[str]) -> list[str]:
    known = jobs_of_mine()
    return [job for job in jobs if job in known and known[job].live]


def _options(site: SlurmSite, grace_s: float) -> str:
    words = [
        "--requeue",
        # The log of the first attempt says why there is a second one.
        "--open-mode=append",
        f"--signal=B:TERM@{round(grace_s)}",
        *([f"--reservation={site.reservation}"] if site.reservation else []),
        *site.options,
    ]
    return "\n".join(f"#SBATCH {word}" for word in words)
