"""Units as the field's files spell them, and what they are in SI."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import radians
from types import MappingProxyType
from typing import Literal

__all__ = ["SiUnit", "metres_per_unit", "says_no_unit", "si_unit"]

_METRES: Mapping[str, float] = MappingProxyType(
    {
        "m": 1.0,
        "meter": 1.0,
        "meters": 1.0,
        "metre": 1.0,
        "metres": 1.0,
        "cm": 1e-2,
        "centimeter": 1e-2,
        "mm": 1e-3,
        "millimeter": 1e-3,
        "um": 1e-6,
        "µm": 1e-6,
        "micron": 1e-6,
        "microns": 1e-6,
        "micrometer": 1e-6,
        "micrometers": 1e-6,
        "nm": 1e-9,
        "nanometer": 1e-9,
        "nanometers": 1e-9,
        "a": 1e-10,
        "å": 1e-10,
        "angstrom": 1e-10,
        "angstroms": 1e-10,
        "ångström": 1e-10,
        "pm": 1e-12,
        "picometer": 1e-12,
    }
)
_RADIANS = {"rad": 1.0, "mrad": 1e-3, "mrads": 1e-3, "urad": 1e-6, "µrad": 1e-6}
_RADIANS |= dict.fromkeys(("deg", "degree", "degrees", "°"), radians(1.0))
_SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0}
_SECONDS |= {"ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "min": 60.0}
# Case tells milli from mega here, and some programs write keV as KeV.
_ELECTRONVOLTS = {"eV": 1.0, "ev": 1.0, "keV": 1e3, "KeV": 1e3, "kev": 1e3, "meV": 1e-3, "MeV": 1e6}
_NO_UNIT = frozenset({"", "px", "pix", "pixel", "pixels", "ch", "channel", "channels", "<undefined>", "none"})
_INVERSE = re.compile(r"^(?:1\s*/\s*(?P<under>\S+)|(?P<base>\S+?)(?:\s*\^?\(?[-−]1\)?|⁻¹))$")


@dataclass(frozen=True, slots=True)
class SiUnit:
    """What a unit is in SI: `value_in_symbol = value * factor`."""

    symbol: Literal["m", "1/m", "eV", "rad", "s"]
    factor: float


def si_unit(text: str | None) -> SiUnit | None:
    """The SI unit behind a unit of length, inverse length, energy, angle or time; None for anything else.

    Example:
        >>> si_unit("1/nm")
        SiUnit(symbol='1/m', factor=1000000000.0)
    """
    if text is None:
        return None
    stripped = _plain_micro(text.strip())
    if stripped.startswith("[") and stripped.endswith("]"):
        # Berkeley's EMD writes [n_m] and [u_m].
        stripped = stripped[1:-1].replace("_", "")
    if stripped in _ELECTRONVOLTS:
        return SiUnit("eV", _ELECTRONVOLTS[stripped])
    folded = stripped.casefold().replace("μ", "µ")
    tables: tuple[tuple[Literal["m", "rad", "s"], Mapping[str, float]], ...] = (
        ("m", _METRES),
        ("rad", _RADIANS),
        ("s", _SECONDS),
    )
    for symbol, table in tables:
        if folded in table:
            return SiUnit(symbol, table[folded])
    inverse = _INVERSE.match(folded)
    if inverse is not None:
        length = _METRES.get(inverse["under"] or inverse["base"])
        return None if length is None else SiUnit("1/m", 1.0 / length)
    return None


def metres_per_unit(unit: str | None) -> float | None:
    """How many metres a unit of length is; None for what is no length (`1/nm`, `px`, nothing).

    Example:
        >>> metres_per_unit("Å")
        1e-10
    """
    found = si_unit(unit)
    return found.factor if found is not None and found.symbol == "m" else None


def says_no_unit(text: str | None) -> bool:
    """Whether a file gives no unit, or only counts pixels or channels."""
    return text is None or text.strip().casefold() in _NO_UNIT


def _plain_micro(text: str) -> str:
    # ImageJ writes the micro sign as an escape; there are two letters that look like it (U+00B5, U+03BC).
    return text.replace("\\u00B5", "µ").replace("\\u00b5", "µ").replace("μ", "µ")
