"""Which archives go. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ._archive import ArchiveFacts

__all__ = ["surplus"]


def surplus(found: Sequence[ArchiveFacts], keep: int) -> tuple[ArchiveFacts, ...]:
    """All but the newest `keep`, the oldest first; never the newest."""
    ordered = sorted(found, key=lambda one: one.made_utc)
    return tuple(ordered[: max(0, len(ordered) - max(1, keep))])
