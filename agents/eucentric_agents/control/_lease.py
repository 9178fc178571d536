"""Who holds the lease, and since which fencing epoch."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eucentric_core import (
    LEASE_DURATION_S,
    DataFormatError,
    LeaseError,
    LeaseGrant,
    LeaseStatus,
    write_atomic,
)

__all__ = ["LeaseKeeper"]


@dataclass(slots=True)
class _Held:
    holder: str
    expires_s: float
    ending: bool = False


class LeaseKeeper:
    """Grants one lease at a time. Any thread may use it.

    The epoch rises with every grant and is on disk before the grant is given, so that a client of
    before a restart can never pass for the holder of after it. An expired lease blocks the next one
    until `end_lost` is called: nobody steers while the instrument is on its way to the safe state.

    Args:
        path: where the epoch is kept.
        duration_s: how long a lease lasts without renewal.
        clock: monotonic seconds.

    Raises:
        DataFormatError: the file is damaged; an epoch is never guessed.
    """

    def __init__(
        self,
        path: Path,
        *,
        duration_s: float = LEASE_DURATION_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._duration_s = duration_s
        self._clock = clock
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._epoch = _read_epoch(path)

    def request(self, client: str) -> LeaseGrant:
        """Grant the lease.

        Raises:
            LeaseError: someone holds it, or the instrument is still being made safe after someone lost it.
        """
        with self._lock:
            held = self._held
            if held is not None:
                left_s = held.expires_s - self._clock()
                if held.ending or left_s <= 0:
                    raise _refusal(
                        f"{held.holder} has just lost the lease.",
                        "the instrument is being put in its safe state.",
                        "ask again in a moment.",
                    )
                raise _refusal(
                    f"{held.holder} holds the lease, for {left_s:.1f} s more unless it is renewed.",
                    "nothing was changed.",
                    "wait until it is released or expires; observing needs no lease.",
                )
            epoch = self._epoch + 1
            write_atomic(self._path, json.dumps({"epoch": epoch}).encode())
            self._epoch = epoch
            self._held = _Held(client, self._clock() + self._duration_s)
            return LeaseGrant(holder=client, epoch=epoch, duration_s=self._duration_s)

    def renew(self, client: str, epoch: int) -> LeaseGrant:
        """Let the lease last for its full duration again; `LeaseError` if it is not the client's."""
        with self._lock:
            held = self._require(epoch)
            if held.holder != client:
                raise _refusal(f"{client} does not hold the lease.", "nothing was changed.", "request it.")
            held.expires_s = self._clock() + self._duration_s
            return LeaseGrant(holder=client, epoch=epoch, duration_s=self._duration_s)

    def release(self, client: str, epoch: int) -> None:
        """Give the lease back; `LeaseError` if it is not the client's."""
        with self._lock:
            if self._require(epoch).holder != client:
                raise _refusal(f"{client} does not hold the lease.", "nothing was changed.", "request it.")
            self._held = None

    def check(self, epoch: int | None) -> None:
        """Pass only who holds the lease now.

        Raises:
            LeaseError: no epoch, an old one, or an expired lease.
        """
        with self._lock:
            self._require(epoch)

    def status(self) -> LeaseStatus:
        """Who holds the lease and for how long still."""
        with self._lock:
            left_s = 0.0 if self._held is None else self._held.expires_s - self._clock()
            holder = self._held.holder if self._held is not None and left_s > 0 else None
            return LeaseStatus(holder=holder, epoch=self._epoch, remaining_s=max(0.0, left_s))

    def take_lost(self) -> LeaseGrant | None:
        """The lease that has expired, if one has; from now on it is being ended."""
        with self._lock:
            held = self._held
            if held is None or held.expires_s > self._clock():
                return None
            held.ending = True
            return LeaseGrant(holder=held.holder, epoch=self._epoch, duration_s=self._duration_s)

    def end_lost(self) -> None:
        """The instrument is safe: the lost lease is over and the next may be granted."""
        with self._lock:
            self._held = None

    def _require(self, epoch: int | None) -> _Held:
        held = self._held
        next_step = "request the lease, then steer with its epoch."
        if epoch is None:
            raise _refusal("Steering needs the lease.", "nothing was changed.", next_step)
        if held is None or epoch != self._epoch:
            raise _refusal(f"Lease epoch {epoch} is not the current one.", "nothing was changed.", next_step)
        if held.ending or held.expires_s <= self._clock():
            raise _refusal(
                f"{held.holder} has lost the lease: it was not renewed within {self._duration_s:g} s.",
                "the instrument is being put in its safe state.",
                next_step,
            )
        return held


def _refusal(what: str, safe: str, next_step: str) -> LeaseError:
    return LeaseError(what, safe=safe, next_step=next_step)


def _read_epoch(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return 0
    try:
        epoch = json.loads(path.read_text(encoding="utf-8"))["epoch"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error
    if not isinstance(epoch, int) or epoch < 0:
        raise _damaged(path)
    return epoch


def _damaged(path: Path) -> DataFormatError:
    return DataFormatError(
        f"{path} does not hold a lease epoch.",
        safe="the agent did not start; no lease is valid.",
        next_step='write {"epoch": N} with N above the last epoch of audit.jsonl into it.',
    )
