"""How many messages may be at a subscriber, or on their way to it."""

from __future__ import annotations

__all__ = ["CreditWindow"]

_FIRST_CREDIT = 8
"""As long as nobody knows how large the messages are."""
_LEAST_MESSAGES = 4


class CreditWindow:
    """What a server was granted, and what of it is not acknowledged. For the subscriber's thread alone.

    Args:
        credit: most messages.
        window_bytes: most bytes of them, as far as the largest of late tells; None: any.
    """

    def __init__(self, credit: int, window_bytes: int | None) -> None:
        self._credit = credit
        self._window_bytes = window_bytes
        self._largest_bytes = 0
        self.granted = credit if window_bytes is None else min(credit, _FIRST_CREDIT)
        """Messages that the server may have sent without an acknowledgement."""
        self.unacknowledged = 0

    @property
    def room(self) -> int:
        """How many may be asked for by who begins anew: what is not acknowledged still holds its credit."""
        return max(0, self.granted - self.unacknowledged)

    def received(self, n_bytes: int) -> None:
        """Count a message."""
        self.unacknowledged += 1
        # What was large once is forgotten in a while.
        self._largest_bytes = max(n_bytes, self._largest_bytes * 15 // 16)

    def acknowledged(self, messages: int) -> int:
        """Count acknowledged ones; how many more the server may send for them.

        Acknowledging more than was received does not make room that is not there.
        """
        messages = min(messages, self.unacknowledged)
        self.unacknowledged -= messages
        given = max(0, self._messages - (self.granted - messages))
        self.granted += given - messages
        return given

    @property
    def _messages(self) -> int:
        if self._window_bytes is None:
            return self._credit
        if not self._largest_bytes:
            return self.granted
        return max(_LEAST_MESSAGES, min(self._credit, self._window_bytes // self._largest_bytes))
