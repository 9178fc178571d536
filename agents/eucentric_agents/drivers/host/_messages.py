"""What passes between the agent and its driver host, beside commands and their results."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from eucentric_core import FrozenModel, UtcDatetime
from eucentric_core.vocabulary import AnyCommand, SessionStart

__all__ = ["Abandoned", "Beat", "LinkState", "MadeSafe", "Open", "Opening", "Order", "Pulse"]


class MadeSafe(FrozenModel):
    """The host has made the instrument safe by itself.

    Args:
        number: counts up within one host.
        reason: why.
        silent_s: how long the agent had been silent then (s); None where that was not the reason.
        at_utc: when the instrument was safe.
        monotonic_s: the same on the machine's monotonic clock (s).
        took_s: from the decision until the instrument was safe (s).
        attempts: how often it was tried.
    """

    number: Annotated[int, Field(ge=1)]
    reason: str
    silent_s: Annotated[float, Field(ge=0)] | None
    at_utc: UtcDatetime
    monotonic_s: float
    took_s: Annotated[float, Field(ge=0)]
    attempts: Annotated[int, Field(ge=1)]


class Beat(FrozenModel):
    """The agent is there. `seen` is the number of the last `MadeSafe` it has put on record."""

    seen: Annotated[int, Field(ge=0)]


class Pulse(FrozenModel):
    """The host's answer to a beat.

    Args:
        made_safe: the first that the agent has not seen.
        published: the session of the last frame published, and how many acquisitions of it were.
    """

    made_safe: MadeSafe | None
    published: tuple[str | None, Annotated[int, Field(ge=0)]]


class Open(FrozenModel):
    """Open the driver; with `make_safe`, make the instrument safe first, because an earlier host was lost."""

    make_safe: bool


class Order(FrozenModel):
    """One command for the driver."""

    command: AnyCommand


class Opening(FrozenModel):
    """One session to open."""

    command: SessionStart
    trace_id: str | None


class Abandoned(FrozenModel):
    """A session that an earlier host has left open; `frames` acquisitions of it were surely published."""

    session: str
    frames: Annotated[int, Field(ge=0)]


class LinkState(FrozenModel):
    """Whether the data process answers."""

    whole: bool
