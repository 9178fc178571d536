"""Notices that the repository has gone silent: shards arrive there, and no receipt comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from eucentric_core import Event, TransferFailed, TransferFailedError, TransferRecovered

__all__ = ["ReceiptWatch"]

_TELL_AFTER_S = 600.0


class ReceiptWatch:
    """Remembers since when delivered shards wait while nothing is receipted.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since_s: float | None = None
        self._waiting: frozenset[str] = frozenset()
        self._told_since_s: float | None = None

    @property
    def silent_s(self) -> float | None:
        """How long shards have waited without any receipt; None while none waits."""
        return None if self._since_s is None else self._clock() - self._since_s

    def look(self, waiting: Iterable[str]) -> None:
        """Note which delivered shards have no receipt now. One fewer than before: receipts do come."""
        now = frozenset(waiting)
        if not now:
            self._since_s = None
        elif self._since_s is None or self._waiting - now:
            self._since_s = self._clock()
        self._waiting = now

    def forget(self) -> None:
        """Count anew: as long as the far end did not answer, no receipt could come."""
        self._since_s = self._clock() if self._waiting else None

    def news(self) -> Event | None:
        """What to tell, once each: that no receipt comes for ten minutes, and that they come again."""
        silent_s = self.silent_s
        if self._told_since_s is None and silent_s is not None and silent_s >= _TELL_AFTER_S:
            self._told_since_s = self._since_s
            return TransferFailed(source="shipper", error=_silence(len(self._waiting), silent_s).report())
        if self._told_since_s is not None and (silent_s is None or silent_s < _TELL_AFTER_S):
            outage_s, self._told_since_s = self._clock() - self._told_since_s, None
            return TransferRecovered(source="shipper", outage_s=outage_s)
        return None


def _silence(shards: int, silent_s: float) -> TransferFailedError:
    return TransferFailedError(
        f"No receipt for {shards} delivered shards for {silent_s / 60:.0f} min.",
        safe="the shards are kept here until the repository has them.",
        next_step="check that the repository's service runs on this root.",
    )
