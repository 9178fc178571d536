"""What an interlock found: the same facts as a refusal before a command, or as a trip during it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from eucentric_core import FrozenModel, InterlockError

__all__ = ["Finding", "InterlockTrip", "Origin"]

Origin = Literal["file", "instrument", "tightening"]
"""Where a limit comes from."""

_ORIGINS: dict[Origin, str] = {
    "file": "This limit is in the local file of limits.",
    "instrument": "This is the instrument's own range.",
    "tightening": "This limit was tightened after the agent had started.",
}


class InterlockTrip(FrozenModel):
    """A limit that the instrument is about to pass: whoever receives it makes the instrument safe.

    `interlock` is the key of the limit in the file of limits; `value` is None where it is not a number.
    """

    interlock: str
    what: str
    limit: float | None
    value: float | None
    unit: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A limit that a command would pass, or that the instrument is about to pass."""

    interlock: str
    what: str
    next_step: str
    limit: float | None = None
    value: float | None = None
    unit: str = ""
    fits: float | None = None

    def refusal(self, origin: Origin | None = None) -> InterlockError:
        """The error for a command that was not carried out; `fits` is the largest value that would pass.

        Args:
            origin: where the limit comes from, if it is one that somebody has set.
        """
        details: dict[str, JsonValue] = {
            "interlock": self.interlock,
            "limit": _plain(self.limit),
            "value": _plain(self.value),
            "unit": self.unit,
        }
        if self.fits is not None:
            details["fits"] = _plain(self.fits)
        what = self.what
        if origin is not None:
            details["origin"] = origin
            what = f"{what} {_ORIGINS[origin]}"
        return InterlockError(
            what, safe="the command did not reach the instrument.", next_step=self.next_step, **details
        )

    def trip(self) -> InterlockTrip:
        """The same as a reason to make the instrument safe."""
        return InterlockTrip(
            interlock=self.interlock,
            what=self.what,
            limit=_plain(self.limit),
            value=_plain(self.value),
            unit=self.unit,
            next_step=self.next_step,
        )


def _plain(value: float | None) -> float | None:
    # JSON has neither NaN nor infinities.
    return value if value is not None and math.isfinite(value) else None
