"""Sealing shards in a thread of its own, in order, while the next one is already open."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from eucentric_core import EucentricError, OutOfSpaceError

from ._errors import JournalError
from ._segment import Segment

__all__ = ["SealJob", "Sealer"]

_log = logging.getLogger(__name__)


@dataclass
class SealJob:
    """A segment to seal. `held` are its acquisitions with their streams, `missing` the gaps."""

    session_id: int
    index: int
    segment: Segment
    held: dict[int, set[str]]
    missing: tuple[int, ...]
    simulated: bool
    attempts: int = 0


class Sealer:
    """The thread. A job that failed stays first in line until `retry`; nothing overtakes it.

    Args:
        seal: does one job; whatever it raises, the job is tried again and the thread lives on.
    """

    def __init__(self, seal: Callable[[SealJob], None]) -> None:
        self._seal = seal
        self._jobs: deque[SealJob] = deque()
        self._changed = threading.Condition()
        self._error: EucentricError | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Shards that are being sealed or wait for it."""
        with self._changed:
            return len(self._jobs)

    def submit(self, job: SealJob) -> None:
        """Seal this after everything before it."""
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()

    def wait(self, *, most: int = 0) -> None:
        """Wait until no more than `most` jobs are left. What failed before is tried once more.

        Raises:
            OutOfSpaceError, JournalError: a job failed again, or the thread is gone; it stays.
        """
        with self._changed:
            if self._error is not None:
                self._error = None
                self._changed.notify_all()
            while len(self._jobs) > most:
                if self._error is not None:
                    raise self._error
                if not self._thread.is_alive():
                    raise JournalError(
                        "The thread that seals shards has ended.",
                        safe="what is not sealed is in its journals, and is found at the next start.",
                        next_step="see this service's log, then restart the agent.",
                    )
                self._changed.wait(timeout=0.5)

    def close(self) -> None:
        """End when all is sealed, or something fails; what is not sealed is found at the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        for job in self._jobs:
            job.segment.close()

    def _attempt(self, job: SealJob) -> EucentricError | None:
        try:
            self._seal(job)
        except (OutOfSpaceError, JournalError) as failed:
            error: EucentricError = failed
            _log.error("a shard is not sealed yet: %s", failed)
        except Exception as failed:  # noqa: BLE001
            # Whatever it is, a thread that has died seals nothing and tells nobody.
            error = JournalError(
                f"Sealing a shard failed: {type(failed).__name__}: {failed}",
                safe="its frames are in its journal; it is built anew from there and tried again.",
                next_step="see this service's log, and report it.",
            )
            _log.exception("a shard is not sealed yet")
        else:
            return None
        job.attempts += 1
        return error

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._stopping and (not self._jobs or self._error is not None):
                    self._changed.wait()
                if self._stopping and (not self._jobs or self._error is not None):
                    return
                job = self._jobs[0]
            error = self._attempt(job)
            with self._changed:
                if error is None:
                    self._jobs.popleft()
                self._error = error
                self._changed.notify_all()
