"""Making frames durable beside the thread that records: each step in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from ._segment import Batch, Records, Segment

__all__ = ["Commit", "Committer"]

_PAUSE_S = 0.1
"""Between two groups of a detector that goes on nothing may be on its way, but for less than this."""


@dataclass
class _Part:
    """What one segment has in a commit, and why it failed."""

    segment: Segment
    batch: Batch
    records: Records = field(default_factory=list)
    placed: int = 0
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
    """Four threads: one gives frames their places in their shards, one writes, one flushes what was written,
    one writes and flushes the records that vouch for it; each in order.

    Every flush waits for what the disk is taking just then. So the flush of a group's records runs beside
    that of the next group's frames, which a file system commits together.
    """

    def __init__(self) -> None:
        self._placer = ThreadPoolExecutor(1, thread_name_prefix="placer")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="flusher")
        self._voucher = ThreadPoolExecutor(1, thread_name_prefix="voucher")
        self._last: Future[None] | None = None
        self._decided_s = -_PAUSE_S

    @property
    def is_busy(self) -> bool:
        """Whether something is on its way to the disk, or was a moment ago. Any thread may ask."""
        last = self._last
        return (last is not None and not last.done()) or time.monotonic() - self._decided_s < _PAUSE_S

    def submit(self, batches: list[tuple[Segment, Batch]]) -> Commit:
        """Make these frames durable."""
        parts = [_Part(segment, batch) for segment, batch in batches]
        placed = self._placer.submit(_each, parts, _place)
        written = self._writer.submit(_each, parts, _write, placed)
        flushed = self._flusher.submit(_each, parts, _flush_chunks, written)
        self._last = self._voucher.submit(self._vouch, parts, flushed)
        return Commit((self._last,))

    def _vouch(self, parts: Sequence[_Part], flushed: Future[None]) -> None:
        try:
            _vouch(parts, flushed)
        finally:
            if parts:
                self._decided_s = time.monotonic()

    def close(self) -> None:
        """End when everything is decided."""
        for threads in (self._placer, self._writer, self._flusher, self._voucher):
            threads.shutdown()


def _place(part: _Part) -> None:
    part.records = part.segment.place(part.batch)
    part.placed = part.segment.placed


def _write(part: _Part) -> None:
    part.segment.write(part.placed)


def _flush_chunks(part: _Part) -> None:
    part.segment.flush_chunks(part.records)


def _write_records(part: _Part) -> None:
    part.segment.write_records(part.records)


def _flush_records(part: _Part) -> None:
    part.segment.flush_records(part.records)


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


def _vouch(parts: Sequence[_Part], flushed: Future[None]) -> None:
    try:
        # One step for all segments at a time: a file system commits what the first flush waits for of the
        # others, too.
        _each(parts, _write_records, flushed)
        _each(parts, _flush_records)
    finally:
        for part in parts:
            part.segment.settle(part.batch)
    for part in parts:
        if part.error is not None:
            raise part.error
