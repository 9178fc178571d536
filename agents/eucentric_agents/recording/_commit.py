"""Making frames durable beside the thread that records."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ._segment import Batch, Segment

__all__ = ["Commit", "Committer"]


@dataclass(frozen=True, slots=True)
class Commit:
    """Frames on their way to the disk."""

    _futures: tuple[Future[None], ...]

    @property
    def done(self) -> bool:
        """Whether it is decided."""
        return all(future.done() for future in self._futures)

    def after(self, others: Sequence[Commit]) -> Commit:
        """This one and others as one."""
        return Commit((*(future for other in others for future in other._futures), *self._futures))

    def wait(self) -> None:
        """Wait until the frames are durable.

        Raises:
            OutOfSpaceError, JournalError: they are not, and must be appended again.
        """
        for future in self._futures:
            future.result()


class Committer:
    """One thread that flushes, in order."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="committer")

    def submit(self, batches: list[tuple[Segment, Batch]]) -> Commit:
        """Make these frames durable."""
        return Commit((self._pool.submit(_commit, batches),))

    def close(self) -> None:
        """End when everything is decided."""
        self._pool.shutdown()


def _commit(batches: list[tuple[Segment, Batch]]) -> None:
    failed: BaseException | None = None
    for segment, batch in batches:
        try:
            segment.make_durable(batch)
        except BaseException as error:  # noqa: BLE001
            # The others' batches were taken out of their segments, too, and must be decided as well.
            failed = error
    if failed is not None:
        raise failed
