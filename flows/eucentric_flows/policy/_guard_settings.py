"""What a policy declares about holding its action back."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from eucentric_core import FrozenModel

from ._time_zone import TimeZone

__all__ = ["Approval", "Guards", "QuietHours", "Weekday"]

_DAY_S = 86_400.0


def _require_clock_time(text: str) -> str:
    if re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text) is None:
        raise ValueError(f"{text!r} is no time of day: write it as HH:MM, for example 06:00")
    return text


_ClockTime = Annotated[str, AfterValidator(_require_clock_time)]

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_EVERY_DAY: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class QuietHours(FrozenModel):
    """From `begin` to `end` nothing is begun; what fires then waits until `end`.

    Attributes:
        begin: time of day, `HH:MM`.
        end: time of day; at or before `begin` it is on the next day.
        days: on which days the quiet hours begin.
        time_zone: whose clock it is.
    """

    begin: _ClockTime
    end: _ClockTime
    days: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)] = _EVERY_DAY
    time_zone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _leaves_time(self) -> Self:
        if self.begin == self.end and len(set(self.days)) == len(_EVERY_DAY):
            raise ValueError("begin and end are the same on every day: nothing could ever run")
        return self


class Approval(FrozenModel):
    """A person has to say yes within `within_s`, by `eucentric policy approve`; otherwise it is given up."""

    within_s: Annotated[float, Field(ge=60, le=30 * _DAY_S)] = _DAY_S


class Guards(FrozenModel):
    """What holds an action back. One run per model at a time is not a choice: it always holds.

    Attributes:
        cooldown_s: after the end of a run of this policy.
        max_runs_per_day: of this policy, within any 24 h.
        max_node_hours_per_day: for trainings of this policy within any 24 h, the next at its longest.
        max_event_age_s: what happened longer ago is too late to act on.
        quiet_hours: when nothing is begun.
        approval: whether a person has to say yes.
    """

    cooldown_s: Annotated[float, Field(ge=0, le=30 * _DAY_S)] = 600.0
    max_runs_per_day: Annotated[int, Field(ge=1, le=1000)] = 12
    max_node_hours_per_day: Annotated[float, Field(gt=0, le=1e6)] | None = None
    max_event_age_s: Annotated[float, Field(gt=0, le=30 * _DAY_S)] = _DAY_S
    quiet_hours: QuietHours | None = None
    approval: Approval | None = None
