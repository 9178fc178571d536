"""Names of time zones, as the IANA database has them."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

__all__ = ["TimeZone"]


def _require_known(name: str) -> str:
    known = available_timezones()
    if name not in known:
        raise PydanticCustomError(
            "unknown_word", "{given} is no time zone", {"given": name, "words": sorted(known)}
        )
    return name


TimeZone = Annotated[str, AfterValidator(_require_known)]
"""For example `Europe/Berlin`; summer time is that of the place."""
