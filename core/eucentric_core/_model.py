"""The base of everything that crosses a boundary between machines, processes or files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from ._notebook import html_of

__all__ = ["FrozenModel", "Identifier", "Sha256", "UtcDatetime", "utc_now"]


class FrozenModel(BaseModel):
    """A value that is checked when it is made and never changes afterwards.

    Unknown fields, NaN and infinities are refused, so that a typing mistake in a file or in a
    message is an error where it enters and not a surprise at the microscope.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def _repr_html_(self) -> str | None:
        return html_of(self)


def _require_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time without a zone is ambiguous: give it in UTC, e.g. 2026-11-20T22:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time lies before year 1 or after year 9999 in UTC") from error


UtcDatetime = Annotated[datetime, AfterValidator(_require_utc)]
"""A wall-clock time in UTC. Durations and leases use monotonic seconds instead."""

_RESERVED_ON_WINDOWS = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
)


def _require_portable(name: str) -> str:
    if name.endswith(".") or name.partition(".")[0].lower() in _RESERVED_ON_WINDOWS:
        raise ValueError(f"{name!r} cannot be a file name on Windows")
    return name


Identifier = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"), AfterValidator(_require_portable)
]
"""A name that is safe as a file name on every system and in a URL: no separators, at most 100 characters."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest as 64 lower-case hexadecimal digits."""


def utc_now() -> datetime:
    """The present time with its zone, as `UtcDatetime` wants it."""
    return datetime.now(UTC)
