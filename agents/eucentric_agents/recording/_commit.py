"""Making frames durable beside the thread that records."""

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

    def when_done(self, call: Callable[[], None]) -> None:
        """Have something called once it is decided, from whatever thread decides it; at once if it is."""
        for future in self._futures:
            future.add_done_callback(lambda _: call())

    def wait(self) -> None:
        """Wait until the frames are durable.

        Raises:
            OutOfSpaceError, JournalError: they are not, and must be appended again.
        """
        for future in self._futures:
            future.result()


class Committer:
    """Two threads: one gives frames their places in their shards; one writes them, flushes them, and writes
    and flushes the records that vouch for them. Both in order.

    Every flush waits for what the disk has been given by then. So the next group is written when this one's
    records are flushed, which is then the matter of a moment.
    """

    def __init__(self) -> None:
        self._placer = ThreadPoolExecutor(1, thread_name_prefix="placer")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
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
        self._last = self._writer.submit(self._make_durable, parts, placed)
        return Commit((self._last,))

    def _make_durable(self, parts: Sequence[_Part], placed: Future[None]) -> None:
        try:
            placed.result()
            # One step for all segments at a time: a file system commits what the first flush waits for of the
            # others, too.
            for step in (_write, _flush_chunks, _write_records, _flush_records):
                _each(parts, step)
        finally:
            for part in parts:
                part.segment.settle(part.batch)
            if parts:
                self._decided_s = time.monotonic()
        for part in parts:
            if part.error is not None:
                raise part.error

    def close(self) -> None:
        """End when everything is decided."""
        for threads in (self._placer, self._writer):
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


def _each(parts: Sequence[_Part], step: Callable[[_Part], None]) -> None:
    """Take a step with every part that has not failed: the others' frames have to be decided, too."""
    for part in parts:
        if part.error is None:
            try:
                step(part)
            except BaseException as error:  # noqa: BLE001
                part.error = error
