"""Numbers with units as people type them: `4 nm` for a field in metres. Pure."""

from __future__ import annotations

import math
import re

__all__ = ["parse_number", "readable_number", "split_unit"]

_UNITS = {
    "m": "m", "s": "s", "v": "V", "a": "A", "rad": "rad", "ev": "eV", "bytes": "B", "utc": "UTC",
    "px": "px", "hz": "Hz", "k": "K", "e_per_a2": "e/Å²", "e_per_px": "e/px",
}  # fmt: skip
_SCALED = ("m", "s", "V", "A", "rad", "eV", "Hz", "B")
_PREFIXES = {
    "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9,
}  # fmt: skip
_OTHERS = {("s", "min"): 60.0, ("s", "h"): 3600.0, ("s", "d"): 86_400.0, ("m", "Å"): 1e-10,
           ("rad", "deg"): math.pi / 180, ("rad", "°"): math.pi / 180}  # fmt: skip
_TYPED = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\s\d]*)\s*")


def split_unit(name: str) -> tuple[str, str]:
    """A name without its unit, and the unit as it is written: `dwell_time_s` is `dwell_time` in `s`."""
    parts = name.split("_")
    for length in (3, 1):
        if len(parts) > length and (unit := _UNITS.get("_".join(parts[-length:]))):
            return "_".join(parts[:-length]), unit
    return name, ""


def parse_number(text: str, unit: str) -> float:
    """What was typed, in `unit`: `4 nm` is 4e-9 where metres are wanted, `10 min` is 600 where seconds are.

    Raises:
        ValueError: it is no number, or its unit is another kind of unit.
    """
    found = _TYPED.fullmatch(text)
    if found is None:
        example = f", for example 4 n{unit}" if unit in ("m", "s", "A") else ""
        raise ValueError(f"is no number{example}")
    number, given = float(found.group(1)), found.group(2)
    if not given or given == unit:
        return number
    if (factor := _OTHERS.get((unit, given))) is not None:
        return number * factor
    prefix = given.removesuffix(unit)
    if unit in _SCALED and given.endswith(unit) and prefix in _PREFIXES:
        return _scaled(number, prefix)
    raise ValueError(f"is in {given}; {f'{unit} is wanted' if unit else 'a number without a unit is wanted'}")


def readable_number(value: float, unit: str) -> str:
    """A number as people say it: 4e-9 in metres is `4 nm`."""
    if unit not in _SCALED or value == 0 or not math.isfinite(value) or unit == "B":
        return f"{value:g}"
    if unit == "s" and abs(value) >= 1:
        for name, length_s in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
            if value % length_s == 0:
                return f"{value / length_s:g} {name}"
        return f"{value:g}"
    if unit == "rad" and abs(value) >= 1:
        return f"{value:g}"
    for prefix in ("p", "n", "µ", "m", "", "k", "M", "G"):
        if abs(value) < _PREFIXES[prefix] * 999.5:
            shown = value / _PREFIXES[prefix]
            return f"{shown:.6g} {prefix}{unit}" if prefix else f"{shown:.6g}"
    return f"{value:g}"


def _scaled(number: float, prefix: str) -> float:
    # By decimal text, so that 4 nm is 4e-9 and not 4.000000000000001e-9.
    exponent = round(math.log10(_PREFIXES[prefix]))
    return float(f"{number!r}e{exponent}") if "e" not in repr(number) else number * _PREFIXES[prefix]
