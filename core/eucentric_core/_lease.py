"""Who steers: a lease that expires, and a fencing epoch that makes an old holder harmless."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ._model import FrozenModel
from .vocabulary import AnyCommand

__all__ = ["LEASE_DURATION_S", "LEASE_RENEW_S", "CommandEnvelope", "LeaseGrant", "LeaseStatus"]

LEASE_DURATION_S = 10.0
"""A lease that is not renewed for this long is lost and the instrument goes to its safe state."""

LEASE_RENEW_S = 3.0
"""How often a holder renews."""


class LeaseGrant(FrozenModel):
    """A granted or renewed lease. `epoch` rises with every grant and is checked before the driver."""

    holder: str
    epoch: Annotated[int, Field(ge=1)]
    duration_s: Annotated[float, Field(gt=0)]


class LeaseStatus(FrozenModel):
    """Who holds the lease and for how long still; what every observer may see."""

    holder: str | None
    epoch: Annotated[int, Field(ge=0)]
    remaining_s: Annotated[float, Field(ge=0)]


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
