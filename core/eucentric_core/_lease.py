"""Who steers: a lease that expires, and a fencing epoch that makes an old holder harmless."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ._access import Role
from ._model import FrozenModel
from .vocabulary import AnyCommand

__all__ = [
    "HANDED_OVER",
    "LEASE_DURATION_S",
    "LEASE_RENEW_S",
    "PRESENCE_S",
    "SILENCE_LIMIT_S",
    "CommandEnvelope",
    "LeaseGrant",
    "LeaseStatus",
]

LEASE_DURATION_S = 10.0
"""A lease that is not renewed for this long is lost and the instrument goes to its safe state."""

LEASE_RENEW_S = 3.0
"""How often a holder renews."""

PRESENCE_S = 0.5
"""How often a holder says that it is there (`lease.present`)."""

SILENCE_LIMIT_S = 2.0
"""A holder that is silent for this long loses the beam, though not yet the lease: the agent makes the
instrument safe, and a holder that comes back within the lease goes on from there."""


HANDED_OVER = "handed_over_to"
"""Detail of the `LeaseError` that a former holder gets who gave the lease away: to whom."""


class LeaseGrant(FrozenModel):
    """A granted or renewed lease. `epoch` rises with every grant and is checked before the driver.

    `made_safe` says why the agent made the instrument safe since the holder was last heard of.
    """

    holder: str
    epoch: Annotated[int, Field(ge=1)]
    duration_s: Annotated[float, Field(gt=0)]
    made_safe: str | None = None


class LeaseStatus(FrozenModel):
    """Who holds the lease and for how long still; what every observer may see.

    `offered_to` may take it over at once (hand-over); `wanted_by` have asked for it lately and were told
    to wait; `local` says that the holder is at the instrument itself, whom nobody far away can displace.
    """

    holder: str | None
    epoch: Annotated[int, Field(ge=0)]
    remaining_s: Annotated[float, Field(ge=0)]
    role: Role | None = None
    local: bool = False
    reason: str | None = None
    offered_to: str | None = None
    wanted_by: tuple[str, ...] = ()


class CommandEnvelope(FrozenModel):
    """A command on its way to an agent.

    `idempotency_key` makes a repeated delivery harmless: the agent answers it with the first
    answer and does not execute the command again.
    """

    schema_version: Literal[1] = 1
    command: AnyCommand
    client: Annotated[str, Field(min_length=1, max_length=200)]
    idempotency_key: Annotated[str, Field(min_length=8, max_length=64)]
    lease_epoch: Annotated[int, Field(ge=1)] | None = None
    trace_id: str | None = None
