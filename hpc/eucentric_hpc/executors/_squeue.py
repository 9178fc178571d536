"""What Slurm says of jobs: their state, and why they wait."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eucentric_core import ServiceUnavailableError

__all__ = ["SlurmJob", "cancel_jobs", "jobs_of_mine", "waiting_sentence"]

_TIMEOUT_S = 60.0
_WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"})
_STARTED = frozenset({"RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "STOPPED", "SUSPENDED", "RESIZING"})
_REASONS = {
    "None": "about to be looked at",
    "Priority": "others come first",
    "Resources": "waits for nodes",
    "BeginTime": "was queued again, and may start in a moment",
    "ReqNodeNotAvail": "nodes are not available",
    "QOSMaxJobsPerUserLimit": "the limit of jobs per user is reached",
    "AssocGrpCPUMinutesLimit": "the account has used its core hours up",
    "PartitionTimeLimit": "the walltime is longer than the partition allows",
    "JobHeldUser": "held by its owner",
    "JobHeldAdmin": "held by an administrator",
    "Dependency": "waits for another job",
    "Reservation": "waits for a reservation",
}


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """One job, as squeue lists it.

    Attributes:
        job: its id.
        state: Slurm's long name, e.g. `PENDING`.
        reason: why it waits, e.g. `Priority`.
        name: as it was submitted.
    """

    job: str
    state: str
    reason: str
    name: str

    @property
    def live(self) -> bool:
        """Whether it runs or may still run."""
        return self.state in _WAITING or self.state in _STARTED

    @property
    def waiting(self) -> bool:
        """Whether it waits in the queue."""
        return self.state in _WAITING


def jobs_of_mine() -> dict[str, SlurmJob]:
    """Every job of this user that Slurm remembers, by its id.

    Raises:
        ServiceUnavailableError: Slurm does not answer.
    """
    said = _run("squeue", "--me", "--noheader", "--states=all", "--format=%i|%T|%r|%j")
    jobs = {}
    for line in said.splitlines():
        job, state, reason, name = line.strip().split("|", 3)
        jobs[job] = SlurmJob(job, state, reason, name)
    return jobs


def cancel_jobs(jobs: Iterable[str], *, kill: bool = False) -> None:
    """Take jobs out of the queue, or end them; with `kill` at once, without time for a checkpoint.

    Raises:
        ServiceUnavailableError: Slurm does not answer.
    """
    if listed := list(jobs):
        _run("scancel", "--quiet", *(("--signal=KILL", "--full") if kill else ()), *listed)


def waiting_sentence(jobs: Sequence[SlurmJob], waited_s: float) -> str | None:
    """Why nothing runs yet; None when something does.

    Args:
        jobs: of one executor.
        waited_s: since the first of them was queued.
    """
    if any(job.live and not job.waiting for job in jobs):
        return None
    waiting = [job for job in jobs if job.waiting]
    if not waiting:
        return "no job in Slurm's queue; the next one is on its way"
    reason = waiting[0].reason
    meaning = _REASONS.get(reason)
    words = f"{reason} ({meaning})" if meaning else reason
    return f"queued in Slurm: {words}, {_duration(waited_s)}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _run(*words: str) -> str:
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _silent(words[0], str(error)) from error
    if done.returncode:
        raise _silent(words[0], done.stderr.strip() or f"it ended with code {done.returncode}")
    return done.stdout


def _silent(command: str, reason: str) -> ServiceUnavailableError:
    return ServiceUnavailableError(
        f"Slurm's {command} failed: {reason}.",
        safe="jobs that were submitted stay as they are.",
        next_step=f"run {command} by hand on this machine; ask the cluster's support if it fails there, too.",
    )
