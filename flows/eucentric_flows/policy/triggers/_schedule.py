"""A time of day, a day of the week, in the time zone of the people who work there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from eucentric_core import FrozenModel

from .._memory import Memory
from .._moment import Met, Moment, Outcome, Unconcerned
from .._time_zone import TimeZone
from .._wording import duration
from ._base import EventMatch

__all__ = ["ScheduleTrigger"]

_AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)


def _require_cron(expression: str) -> str:
    # Only where there is a schedule: the dashboard reads runs with fewer packages than a hub has.
    from cronsim import CronSim, CronSimError

    try:
        CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(
            f"{expression!r} is no cron expression ({error}): minute hour day-of-month month day-of-week,"
            " for example '30 2 * * mon-fri'"
        ) from error
    return expression


class ScheduleTrigger(FrozenModel):
    """Times by a cron expression of five fields, as Debian's cron reads it, summer time included.

    Attributes:
        cron: minute, hour, day of month, month, day of week.
        time_zone: whose clock it is.
        catch_up_s: a time that passed while the service was down counts if it was not longer ago; of
            several only the last.
    """

    kind: Literal["schedule"] = "schedule"
    cron: Annotated[str, Field(max_length=100), AfterValidator(_require_cron)]
    time_zone: TimeZone = "UTC"
    catch_up_s: Annotated[float, Field(ge=60, le=7 * 86_400)] = 3600.0

    @property
    def hears(self) -> frozenset[str]:
        """See `Trigger`."""
        return frozenset()

    def advance(self, memory: Memory, moment: Moment) -> tuple[Memory, Outcome]:
        """See `Trigger`."""
        seen = memory.since_utc
        if moment.event is not None or (seen is not None and moment.now <= seen):
            return memory, Unconcerned()
        after = Memory(since_utc=moment.now)
        if seen is None:
            return after, Unconcerned()
        latest, slot = None, self._next(max(seen, moment.now - timedelta(seconds=self.catch_up_s)))
        while slot is not None and slot <= moment.now:
            latest, slot = slot, self._next(slot)
        if latest is None:
            return after, Unconcerned()
        return after, Met(f"it is due ({self._in_words()})", f"{moment.policy}.{latest:%Y%m%dT%H%M%SZ}")

    def due_utc(self, memory: Memory) -> datetime | None:
        """See `Trigger`; at once if nothing is remembered, because times count from the first look."""
        return _AT_ONCE if memory.since_utc is None else self._next(memory.since_utc)

    def _next(self, after: datetime) -> datetime | None:
        from cronsim import CronSim

        try:
            found = next(CronSim(self.cron, after.astimezone(ZoneInfo(self.time_zone))))
        except StopIteration:  # a day that never comes, such as 31 February
            return None
        return found.astimezone(UTC)

    def _in_words(self) -> str:
        from cronsim import CronSim

        told = CronSim(self.cron, datetime(2026, 1, 1, tzinfo=UTC)).explain()
        return f"{told[:1].lower()}{told[1:]}, {self.time_zone}"

    def phrase(self, model: str) -> str:
        """See `Trigger`."""
        return f"it is due ({self._in_words()}; at most {duration(self.catch_up_s)} late)"

    def as_match(self, model: str) -> EventMatch | None:
        """See `Trigger`: a clock is no event."""
        return None
