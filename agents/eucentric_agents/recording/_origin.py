"""What can be told of a message whose header is not one."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from eucentric_core import DataFormatError, FrozenModel
from eucentric_core import Identifier as _Identifier

__all__ = ["Origin", "origin_of", "unreadable"]

_UNKNOWN = "unknown"
_MAX_SEQUENCE = 1 << 62
_NAME: TypeAdapter[str] = TypeAdapter(_Identifier)


class Origin(FrozenModel):
    """Where a message says it comes from; `unknown` where it says nothing believable."""

    instrument: _Identifier = _UNKNOWN
    session: _Identifier = _UNKNOWN
    sequence: Annotated[int, Field(ge=0, le=_MAX_SEQUENCE)] | None = None


def origin_of(header: bytes) -> Origin:
    """Read what is readable; never fails."""
    try:
        said = json.loads(header)
    except (ValueError, RecursionError):
        return Origin()
    if not isinstance(said, dict):
        return Origin()
    sequence = said.get("sequence")
    believable = (
        isinstance(sequence, int) and not isinstance(sequence, bool) and 0 <= sequence <= _MAX_SEQUENCE
    )
    return Origin(
        instrument=_name(said.get("instrument")),
        session=_name(said.get("session")),
        sequence=sequence if believable else None,
    )


def _name(value: Any) -> str:
    try:
        return _NAME.validate_python(value, strict=True)
    except ValidationError:
        return _UNKNOWN


def unreadable(stream: str, error: Exception) -> DataFormatError:
    """What to say of a message that failed in a way that nobody has foreseen."""
    return DataFormatError(
        f"A message of stream {stream!r} cannot be read: {type(error).__name__}: {error}",
        safe="it is in the quarantine; the recording goes on.",
        next_step="report this with the reason file; header and bytes are kept.",
    )
