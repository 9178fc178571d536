"""Sealing shards in a thread of its own, in order, while the next one is already open."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from eucentric_core import EucentricError, OutOfSpaceError, give_way

from ._errors import JournalError
from ._segment import Segment

__all__ = ["SealJob", "Sealer"]

_LOOK_S = 0.02

_log = logging.getLogger(__name__)


@dataclass
class SealJob:
    """A segment of `n_bytes` to seal. `held` are its acquisitions with their streams, `missing` the gaps."""

    session_id: int
    index: int
    segment: Segment
    held: dict[int, set[str]]
    missing: tuple[int, ...]
    simulated: bool
    n_bytes: int
    attempts: int = 0


class Sealer:
    """The thread. A job that failed stays first in line until `wait` or `retry`; nothing overtakes it.

    It gives way to whoever else wants the processor, and begins a shard only while the disk is not busy with
    frames: what it seals is durable, and a burst can be recorded at the disk's speed while its shards wait.

    Args:
        seal: does one job; whatever it raises, the job is tried again and the thread lives on.
        is_busy: whether frames are on their way to the disk.
        patience_bytes: with more than this to seal, it does not wait for the disk.
    """

    def __init__(
        self,
        seal: Callable[[SealJob], None],
        *,
        is_busy: Callable[[], bool] = lambda: False,
        patience_bytes: int = 0,
    ) -> None:
        self._seal = seal
        self._is_busy = is_busy
        self._patience_bytes = patience_bytes
        self._waited_for = 0
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

    @property
    def waiting_bytes(self) -> int:
        """Their length."""
        with self._changed:
            return sum(job.n_bytes for job in self._jobs)

    def holds(self, session_id: int) -> bool:
        """Whether a shard of this session is not sealed yet."""
        with self._changed:
            return any(job.session_id == session_id for job in self._jobs)

    def retry(self) -> EucentricError | None:
        """Try once more what failed; why it failed, None if nothing did."""
        with self._changed:
            error, self._error = self._error, None
            self._changed.notify_all()
        return error

    def wait(self, *, most_bytes: int = 0) -> None:
        """Wait until no more than `most_bytes` are left to seal. What failed before is tried once more.

        Raises:
            OutOfSpaceError, JournalError: a job failed again, or the thread is gone; it stays.
        """
        self.retry()
        with self._changed:
            self._waited_for += 1
            self._changed.notify_all()
            try:
                self._wait(most_bytes)
            finally:
                self._waited_for -= 1

    def _wait(self, most_bytes: int) -> None:
        while self._jobs and (most_bytes == 0 or sum(job.n_bytes for job in self._jobs) > most_bytes):
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

    def _let_frames_pass(self) -> None:
        while not self._stopping and not self._waited_for and self._is_busy():
            if sum(job.n_bytes for job in self._jobs) > self._patience_bytes:
                return
            self._changed.wait(timeout=_LOOK_S)

    def _run(self) -> None:
        give_way()
        while True:
            with self._changed:
                while not self._stopping and (not self._jobs or self._error is not None):
                    self._changed.wait()
                if self._stopping and (not self._jobs or self._error is not None):
                    return
                self._let_frames_pass()
                job = self._jobs[0]
            error = self._attempt(job)
            with self._changed:
                if error is None:
                    self._jobs.popleft()
                self._error = error
                self._changed.notify_all()
