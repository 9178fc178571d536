"""Which frames the sealed shards of a session hold, remembered in little memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eucentric_core import Shard

__all__ = ["SealedFrames"]


@dataclass(frozen=True, slots=True)
class _Run:
    """Acquisitions `first` to `last`: all streams of most of them, and those that are not so."""

    first: int
    last: int
    streams: frozenset[str]
    other: Mapping[int, frozenset[str]]


class SealedFrames:
    """What is held of each acquisition that no open shard takes any more.

    Args:
        shards: of earlier runs, in their order. Of these only the streams are known: where a frame may be in
            such a shard, it counts as being there.
    """

    def __init__(self, shards: Iterable[Shard] = ()) -> None:
        self._runs = [
            _Run(shard.first_sequence, shard.last_sequence, frozenset(shard.streams), {}) for shard in shards
        ]

    def add(self, held: Mapping[int, set[str]]) -> None:
        """A further shard, behind all others."""
        every = frozenset(stream for streams in held.values() for stream in streams)
        other = {sequence: frozenset(streams) for sequence, streams in held.items() if streams != every}
        self._runs.append(_Run(min(held), max(held), every, other))

    def has(self, sequence: int, stream: str) -> bool:
        """Whether a frame is held; meaningless for acquisitions that are missing as a whole."""
        index = bisect_right(self._runs, sequence, key=lambda run: run.first) - 1
        if index < 0 or sequence > self._runs[index].last:
            return False
        run = self._runs[index]
        return stream in run.other.get(sequence, run.streams)
