"""What a client is told that does not get, or no longer has, the lease."""

from __future__ import annotations

from eucentric_core import HANDED_OVER, BusyError, LeaseError, NotAuthorisedError

from ._held import Ending
from ._identity import Identity

__all__ = [
    "ask_again",
    "at_work",
    "being_granted",
    "expired",
    "held",
    "needs_lease",
    "not_holder",
    "old_epoch",
    "rank_too_low",
]

_TAKE_LEASE = "request the lease, then steer with its epoch."
_UNCHANGED = "nothing was changed."


def held(holder: Identity, left_s: float, *, may_take: bool) -> LeaseError:
    """Someone else has it."""
    wait = "wait until it is released or expires, or ask them to hand it over; observing needs no lease."
    return LeaseError(
        f"{holder.name} holds the lease, for {left_s:.1f} s more unless it is renewed.",
        safe=_UNCHANGED,
        next_step=f"take it over (take_over), or {wait}" if may_take else wait,
        holder=holder.name,
    )


def rank_too_low(taker: Identity, holder: Identity) -> NotAuthorisedError:
    """It was to be taken from somebody who need not give it."""
    what = (
        f"{holder.name} steers at the instrument itself"
        if holder.local
        else f"{holder.name} ({holder.role}) holds the lease, and {taker.name} has the role {taker.role}"
    )
    return NotAuthorisedError(
        f"{what}: it cannot be taken over.",
        safe=_UNCHANGED,
        next_step="ask them to hand it over; safe stop is always open to you.",
        holder=holder.name,
    )


def ask_again(holder: Identity) -> LeaseError:
    """The lease is over, and the instrument not yet safe."""
    return LeaseError(
        f"{holder.name} has just lost the lease.",
        safe="the instrument is being put in its safe state.",
        next_step="ask again in a moment.",
    )


def being_granted(to: Identity) -> LeaseError:
    """Somebody gets it at this moment."""
    return LeaseError(
        f"{to.name} is just being given the lease.", safe=_UNCHANGED, next_step="ask again in a moment."
    )


def at_work(what: str) -> BusyError:
    """A command under an older epoch is still at the driver."""
    return BusyError(
        f"The instrument is still carrying out {what}, under an older lease.",
        safe="nobody steers until it has ended; no lease was given.",
        next_step="ask again when it has ended; safe stop ends it.",
    )


def needs_lease() -> LeaseError:
    """A steering command without an epoch."""
    return LeaseError("Steering needs the lease.", safe=_UNCHANGED, next_step=_TAKE_LEASE)


def old_epoch(epoch: int, ended: Ending | None) -> LeaseError:
    """The epoch is not the present one; `ended` says how it ended, if that is remembered."""
    what = f"Lease epoch {epoch} is not the current one"
    given = {} if ended is None or ended.handed_over_to is None else {HANDED_OVER: ended.handed_over_to}
    return LeaseError(
        f"{what}: {ended.how}." if ended else f"{what}.",
        safe="this call changed nothing.",
        next_step=_TAKE_LEASE,
        **given,
    )


def not_holder(who: Identity, holder: Identity) -> LeaseError:
    """The epoch is right, and the lease is somebody else's."""
    return LeaseError(
        f"{who.name} does not hold the lease; {holder.name} does.", safe=_UNCHANGED, next_step="request it."
    )


def expired(holder: Identity, duration_s: float) -> LeaseError:
    """The holder did not renew in time."""
    return LeaseError(
        f"{holder.name} has lost the lease: it was not renewed within {duration_s:g} s.",
        safe="the instrument is being put in its safe state.",
        next_step=_TAKE_LEASE,
    )
