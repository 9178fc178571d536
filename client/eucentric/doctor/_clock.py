"""The clocks: leases run on the monotonic one, signatures expire by the other."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from ._finding import Finding
from ._tools import answer_of

__all__ = ["check_clock", "check_time_service"]

_RELEASED = datetime(2026, 11, 1, tzinfo=UTC)
_MUCH_LATER = datetime(2060, 1, 1, tzinfo=UTC)


def check_clock(now: datetime) -> Finding:
    """Whether the wall clock is plausible and the monotonic one runs."""
    detail = f"UTC {now:%Y-%m-%d %H:%M:%S}"
    if not _RELEASED <= now <= _MUCH_LATER:
        return Finding(
            name="clock",
            status="fail",
            detail=f"{detail} cannot be: signed models would be refused as expired or as not yet made",
            fix="set the clock, and let a time service keep it",
        )
    if not time.get_clock_info("monotonic").monotonic:
        return Finding(
            name="clock",
            status="fail",
            detail="this system's monotonic clock can be set back: leases would not be safe",
            fix="use another operating system or kernel",
        )
    return Finding(name="clock", status="ok", detail=detail)


def check_time_service(program: str = "timedatectl") -> Finding:
    """Whether a time service keeps the clock right."""
    answer = answer_of([program, "show", "--property=NTPSynchronized", "--value"])
    if answer == "yes":
        return Finding(name="time service", status="ok", detail="the clock is synchronised")
    if answer == "no":
        return Finding(
            name="time service",
            status="warn",
            detail="the clock is not synchronised: times of different machines will not agree",
            fix="timedatectl set-ntp true",
        )
    return Finding(name="time service", status="absent", detail="the system does not say")
