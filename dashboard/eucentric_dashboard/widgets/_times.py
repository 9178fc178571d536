"""Moments as people read them."""

from __future__ import annotations

from datetime import datetime

from eucentric_core import utc_now

from .._words import age_in_words

__all__ = ["ago", "moment"]

_DAY_S = 86_400.0


def moment(at_utc: datetime) -> str:
    """Day and time of day, UTC."""
    return f"{at_utc:%Y-%m-%d %H:%M:%S}"


def ago(at_utc: datetime, *, now_utc: datetime | None = None) -> str:
    """How long ago something was: `12 s ago`, `3 min ago`, `5 d ago`."""
    seconds = max(0.0, ((now_utc or utc_now()) - at_utc).total_seconds())
    return f"{seconds / _DAY_S:.0f} d ago" if seconds >= 2 * _DAY_S else f"{age_in_words(seconds)} ago"
