"""What can go wrong between submitting a task and its result, apart from the task itself."""

from __future__ import annotations

from pathlib import Path

from eucentric_core import EucentricError, ServiceUnavailableError

__all__ = ["WorkerLostError", "last_lines", "no_worker", "worker_lost"]

_MAX_LINES = 20
_MAX_CHARS = 2000
_READ_BYTES = 16_384
_CRASH = "Fatal Python error"
_PATTERNS = ("**/*.stderr", "**/*.err")


class WorkerLostError(EucentricError):
    """The process that ran a task died; what it had done is unknown."""

    code = "worker_lost"


def worker_lost(cause: BaseException, tries: int, log: str) -> WorkerLostError:
    """The error for a task whose worker died each time it was tried."""
    times = "" if tries <= 1 else f" (tried {tries} times)"
    words = f" The worker's last words:\n{log}" if log else ""
    error = WorkerLostError(
        f"The worker that ran the task died: {cause}{times}.",
        safe="checkpoints written before are intact.",
        next_step=f"submit the task again; if it dies again, look at memory and at the worker's log.{words}",
        log_tail=log,
        tries=tries,
    )
    error.__cause__ = cause
    return error


def no_worker(why: str, run_dir: Path) -> ServiceUnavailableError:
    """The error for an executor that has no workers and will not get any."""
    log = last_lines(run_dir)
    words = f" Last lines:\n{log}" if log else ""
    return ServiceUnavailableError(
        f"No worker came up: {why.rstrip('.')}.",
        safe="no task was started; everything that was started is stopped again.",
        next_step=f"see the logs in {run_dir}.{words}",
        log=str(run_dir),
        log_tail=log,
    )


def last_lines(run_dir: Path) -> str:
    """What workers wrote last to their error streams, bounded: of the newest file that holds anything.

    From the beginning of the last crash, if there is one in it; otherwise the end.
    """
    files = [path for pattern in _PATTERNS for path in run_dir.glob(pattern) if path.is_file()]
    for path in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _READ_BYTES))
            lines = [line for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
        if crashes := [number for number, line in enumerate(lines) if line.startswith(_CRASH)]:
            return "\n".join(lines[crashes[-1] :][:_MAX_LINES])[:_MAX_CHARS]
        if lines:
            return "\n".join(lines[-_MAX_LINES:])[-_MAX_CHARS:]
    return ""
