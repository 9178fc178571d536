"""Hours in which nothing is begun."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ._objection import Objection

if TYPE_CHECKING:
    from .._circumstances import Circumstances
    from .._document import Policy
    from .._guard_settings import QuietHours

__all__ = ["quiet", "quiet_until"]

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def quiet(policy: Policy, circumstances: Circumstances) -> Objection | None:
    """See `Guard`: puts off, never gives up."""
    hours = policy.guards.quiet_hours
    until_utc = None if hours is None else quiet_until(hours, circumstances.now)
    if hours is None or until_utc is None:
        return None
    return Objection(f"quiet hours until {hours.end} ({hours.time_zone})", until_utc)


def quiet_until(hours: QuietHours, now: datetime) -> datetime | None:
    """When the quiet hours that it is in end, in UTC; None outside of them."""
    zone = ZoneInfo(hours.time_zone)
    local = now.astimezone(zone)
    # Those that began yesterday may still last.
    for day in (local.date() - timedelta(days=1), local.date()):
        if _WEEKDAYS[day.weekday()] not in hours.days:
            continue
        begin = datetime.combine(day, time.fromisoformat(hours.begin), zone)
        ends_on = day if hours.end > hours.begin else day + timedelta(days=1)
        end = datetime.combine(ends_on, time.fromisoformat(hours.end), zone)
        # In UTC: two local times of one zone are compared without its summer time.
        if begin.astimezone(UTC) <= now < end.astimezone(UTC):
            return end.astimezone(UTC)
    return None
