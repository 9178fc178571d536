"""Making frames durable beside the thread that records: one thread writes, another waits for the disk."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ._segment import Batch, Records, Segment

__all__ = ["Commit", "Committer"]

_Written = list[tuple[Segment, Records, BaseException | None]]


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
    """Two threads: one puts frames into their shards, one flushes them; each in order.

    While the disk takes one group, the next is written.
    """

    def __init__(self) -> None:
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="committer")
        self._last: Future[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is on its way to the disk. Any thread may ask."""
        last = self._last
        return last is not None and not last.done()

    def submit(self, batches: list[tuple[Segment, Batch]]) -> Commit:
        """Make these frames durable."""
        written = self._writer.submit(_write, batches)
        self._last = self._flusher.submit(_flush, batches, written)
        return Commit((self._last,))

    def close(self) -> None:
        """End when everything is decided."""
        self._writer.shutdown()
        self._flusher.shutdown()


def _write(batches: list[tuple[Segment, Batch]]) -> _Written:
    written: _Written = []
    for segment, batch in batches:
        # The others' batches were taken out of their segments, too, and must be decided as well.
        try:
            written.append((segment, segment.write(batch), None))
        except BaseException as error:  # noqa: BLE001
            written.append((segment, [], error))
    return written


def _flush(batches: list[tuple[Segment, Batch]], written: Future[_Written]) -> None:
    failed: BaseException | None = None
    try:
        for segment, records, error in written.result():
            failed = error or failed
            try:
                segment.make_durable(records)
            except BaseException as error:  # noqa: BLE001
                failed = error
    finally:
        for segment, batch in batches:
            segment.settle(batch)
    if failed is not None:
        raise failed
