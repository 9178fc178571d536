"""Making frames durable beside the thread that records: each step in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from ._segment import Batch, Records, Segment

__all__ = ["Commit", "Committer"]


@dataclass
class _Part:
    """What one segment has in a commit, and why it failed."""

    segment: Segment
    batch: Batch
    records: Records = field(default_factory=list)
    error: BaseException | None = None


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
    """Three threads: one gives frames their places in their shards, one writes, one flushes; each in order.

    While the disk is flushed, it takes the next group, and the one after that gets its places: HDF5's
    bookkeeping never keeps the disk waiting.
    """

    def __init__(self) -> None:
        self._placer = ThreadPoolExecutor(1, thread_name_prefix="placer")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="flusher")
        self._last: Future[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is on its way to the disk. Any thread may ask."""
        last = self._last
        return last is not None and not last.done()

    def submit(self, batches: list[tuple[Segment, Batch]]) -> Commit:
        """Make these frames durable."""
        parts = [_Part(segment, batch) for segment, batch in batches]
        placed = self._placer.submit(_each, parts, _place)
        written = self._writer.submit(_each, parts, _write, placed)
        self._last = self._flusher.submit(_flush, parts, written)
        return Commit((self._last,))

    def close(self) -> None:
        """End when everything is decided."""
        for threads in (self._placer, self._writer, self._flusher):
            threads.shutdown()


def _place(part: _Part) -> None:
    part.records = part.segment.place(part.batch)


def _write(part: _Part) -> None:
    part.segment.write()


def _make_durable(part: _Part) -> None:
    part.segment.make_durable(part.records)


def _each(parts: Sequence[_Part], step: Callable[[_Part], None], before: Future[None] | None = None) -> None:
    """Take a step with every part that has not failed: the others' frames have to be decided, too."""
    if before is not None:
        before.result()
    for part in parts:
        if part.error is None:
            try:
                step(part)
            except BaseException as error:  # noqa: BLE001
                part.error = error


def _flush(parts: Sequence[_Part], written: Future[None]) -> None:
    try:
        _each(parts, _make_durable, written)
    finally:
        for part in parts:
            part.segment.settle(part.batch)
    for part in parts:
        if part.error is not None:
            raise part.error
