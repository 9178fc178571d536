"""How many messages may be at a subscriber, or on their way to it."""

from __future__ import annotations

from collections import deque

__all__ = ["CreditWindow"]

_FIRST_CREDIT = 8
"""As long as nobody knows how large the messages are."""
_LEAST_MESSAGES = 4
_LEAST_SLOW_MESSAGES = 1
"""Where each takes so long, having the next one at hand saves nothing."""


class CreditWindow:
    """What a server was granted, and what of it is not acknowledged. For the subscriber's thread alone.

    Args:
        credit: most messages.
        window_bytes: most bytes of them, as far as the largest of late tells; None: any.
        window_s: how long one of them may take from its arrival to its acknowledgement (s), as far as those
            of late tell; fewer are let come where it takes longer. None: any.
    """

    def __init__(self, credit: int, window_bytes: int | None, window_s: float | None) -> None:
        self._credit = credit
        self._window_bytes = window_bytes
        self._window_s = window_s
        self._largest_bytes = 0
        self._in_time = credit  # and never above it
        self._arrived_s: deque[float] = deque()
        self.granted = credit if window_bytes is None else min(credit, _FIRST_CREDIT)
        """Messages that the server may have sent without an acknowledgement."""

    @property
    def room(self) -> int:
        """How many may be asked for by who begins anew: what is not acknowledged still holds its credit."""
        return max(0, self.granted - len(self._arrived_s))

    def received(self, n_bytes: int, *, now_s: float) -> None:
        """Count a message."""
        self._arrived_s.append(now_s)
        # What was large once is forgotten in a while.
        self._largest_bytes = max(n_bytes, self._largest_bytes * 15 // 16)

    def acknowledged(self, messages: int, *, now_s: float) -> int:
        """Count acknowledged ones; how many more the server may send for them.

        Acknowledging more than was received does not make room that is not there.
        """
        messages = min(messages, len(self._arrived_s))
        if messages:
            self._learn(now_s - self._arrived_s[0])
        for _ in range(messages):
            self._arrived_s.popleft()
        given = max(0, self._messages - (self.granted - messages))
        self.granted += given - messages
        return given

    def _learn(self, took_s: float) -> None:
        if self._window_s is None:
            return
        if took_s > self._window_s:
            # What takes a message long is those before it: their number times what one of them takes.
            self._in_time = max(_LEAST_SLOW_MESSAGES, int(self.granted * self._window_s / took_s))
        elif took_s < self._window_s / 2:
            self._in_time = min(self._credit, self._in_time + 1)

    @property
    def _messages(self) -> int:
        return min(self._in_time, self._in_bytes)

    @property
    def _in_bytes(self) -> int:
        if self._window_bytes is None:
            return self._credit
        if not self._largest_bytes:
            return self.granted
        return max(_LEAST_MESSAGES, self._window_bytes // self._largest_bytes)
