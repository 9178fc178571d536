"""Who may send how much when: a token bucket and a fair queue before it, as functions of time."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

__all__ = ["FairQueue", "TokenBucket"]


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """A bucket that is told the time and the rate, as a virtual schedule (GCRA, ITU-T I.371).

    Bytes are taken whenever everything taken before is paid for, and may be more than the bucket holds: then
    whoever comes next waits. What was not used can be made up for, up to `burst_s` of it, so that a timer
    that wakes late costs no throughput.
    """

    burst_s: float
    paid_until_s: float = -math.inf

    def wait_s(self, now_s: float) -> float:
        """How long until something may be taken."""
        return max(0.0, self.paid_until_s - now_s)

    def after(self, now_s: float, n_bytes: int, rate_bytes_s: float) -> TokenBucket:
        """The bucket once `n_bytes` are taken."""
        start_s = max(self.paid_until_s, now_s - self.burst_s)
        return replace(self, paid_until_s=start_s + n_bytes / rate_bytes_s)


@dataclass(slots=True)
class _Claim:
    start: float
    order: int
    n_bytes: int
    due_s: float = math.inf


@dataclass(slots=True)
class FairQueue:
    """Takes turns among shares so that each gets as many bytes, whatever the number and size of its pieces.

    Start-time fair queueing (Goyal, Vin, Cheng 1996). Whoever does not come back for their turn within
    `grace_s` loses it: it could have nothing left to send.
    """

    bucket: TokenBucket
    grace_s: float = 0.02
    _claims: dict[Hashable, _Claim] = field(default_factory=dict)
    _finish: dict[Hashable, float] = field(default_factory=dict)
    _virtual: float = 0.0
    _order: int = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._claims)

    def ask(
        self, who: Hashable, n_bytes: int, now_s: float, rate_bytes_s: float, *, share: Hashable = None
    ) -> float:
        """0.0 if the bytes are granted, or how long to wait before asking again (s).

        Args:
            who: asks.
            n_bytes: how much.
            now_s: the time.
            rate_bytes_s: the present rate.
            share: of the rate, whose turn it is; by default `who` has one alone.
        """
        for absent in [c for c, claim in self._claims.items() if claim.due_s + self.grace_s < now_s]:
            del self._claims[absent]
        claim = self._claims.get(who)
        if claim is None:
            self._order += 1
            share = who if share is None else share
            start = max(self._virtual, self._finish.get(share, 0.0))
            self._finish[share] = start + n_bytes
            claim = self._claims[who] = _Claim(start, self._order, n_bytes)
        claim.n_bytes = n_bytes
        rank = (claim.start, claim.order)
        ahead = sum(c.n_bytes for c in self._claims.values() if (c.start, c.order) < rank)
        wait_s = self.bucket.wait_s(now_s) + ahead / rate_bytes_s
        if wait_s > 0:
            claim.due_s = now_s + wait_s
            return wait_s
        self.bucket = self.bucket.after(now_s, n_bytes, rate_bytes_s)
        self._virtual = claim.start
        del self._claims[who]
        self._finish = {key: at for key, at in self._finish.items() if at > self._virtual}
        return 0.0

    def leave(self, who: Hashable) -> None:
        """`who` does not want anything any more."""
        self._claims.pop(who, None)
