"""When a shard is full, and which acquisitions are missing. Pure decisions."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from eucentric_core import DataFormatError

__all__ = ["MAX_GAP", "missing_between", "require_near", "seals_before", "seals_when_idle"]

MAX_GAP = 1_000_000
"""Largest believable jump of the sequence number; a larger one is a damaged header, not a gap."""


def seals_before(sequence: int, held: Mapping[int, Collection[str]], frames_per_shard: int) -> bool:
    """Whether the open shard is sealed before a frame of this acquisition is added.

    Only a *new* acquisition seals a full shard: the streams of one acquisition arrive one after another
    and belong into one shard.
    """
    return sequence not in held and len(held) >= frames_per_shard


def seals_when_idle(
    held: Mapping[int, Collection[str]],
    frames_per_shard: int,
    *,
    session_streams: Collection[str],
    acquisitions: int,
) -> bool:
    """Whether a full shard is sealed though nothing follows it yet: its last acquisition has all streams.

    After one acquisition it is not known which streams the session has (`acquisitions` so far in all).
    """
    if len(held) < frames_per_shard or acquisitions < 2:
        return False
    return set(held[max(held)]) >= set(session_streams)


def missing_between(first: int, stop: int, held: Collection[int]) -> tuple[int, ...]:
    """Acquisitions of `range(first, stop)` that are not held, ascending."""
    return tuple(number for number in range(first, stop) if number not in held)


def require_near(number: int, known: int, what: str) -> None:
    """Refuse a number that is too far ahead to be true.

    Raises:
        DataFormatError: more than `MAX_GAP` above `known`.
    """
    if number - known > MAX_GAP:
        raise DataFormatError(
            f"{what} {number} is more than {MAX_GAP} above {known}.",
            safe="it was not recorded; the recording goes on.",
            next_step="check the driver's sequence numbers: they start at 0 and rise by one.",
        )
