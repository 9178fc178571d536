"""Where RosettaSciIO says more than a file does: defaults and assumptions that are no calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ._signal import VendorAxis
from ._units import si_unit

__all__ = ["without_assumptions"]

_Axes = tuple[VendorAxis, ...]

_DEFAULT_NM = 1.0
_UNKNOWN_NM = 0.1


def without_assumptions(
    path: Path, reader: str, axes: _Axes, original: Mapping[str, Any]
) -> tuple[_Axes, str]:
    """The axes without units that the reader only assumed, and what to tell whoever misses them.

    Args:
        path: the file.
        reader: name of the reader.
        axes: as the reader gives them.
        original: the file's own metadata.
    """
    if reader == "TIA":
        return _tia(path, axes, original)
    if reader == "MRC" and "fei_header" not in original:
        return _mrc(axes)
    return axes, ""


def _tia(path: Path, axes: _Axes, original: Mapping[str, Any]) -> tuple[_Axes, str]:
    # The reader turns scales from metres into nanometres and leaves the offsets in metres.
    scaled = {"m": 1e9, "1/m": 1e-9}
    mended = []
    for axis in axes:
        unit = si_unit(axis.unit)
        factor = scaled.get(unit.symbol, 1.0) if unit is not None else 1.0
        mended.append(replace(axis, offset=axis.offset * factor))
    described = original.get("ObjectInfo")
    known = described.get("ExperimentalDescription") if isinstance(described, Mapping) else None
    if isinstance(known, Mapping) and "Mode" in known:
        return tuple(mended), ""
    # Image or diffraction pattern: only the mode tells, and only the .emi knows the mode.
    doubtful = tuple(a if a.navigate or a.unit == "eV" else replace(a, unit=None) for a in mended)
    if doubtful == tuple(mended):
        return doubtful, ""
    beside = path.with_name(f"{path.stem.rpartition('_')[0] or path.stem}.emi")
    hint = f"import {beside.name} beside it" if beside.exists() else "import its .emi"
    return doubtful, f"a .ser alone does not tell an image from a diffraction pattern: {hint}"


def _mrc(axes: _Axes) -> tuple[_Axes, str]:
    placeholders = (_DEFAULT_NM, _UNKNOWN_NM)
    if not any(axis.unit == "nm" and axis.scale in placeholders for axis in axes):
        return axes, ""
    kept = tuple(replace(a, unit=None) if a.unit == "nm" and a.scale in placeholders else a for a in axes)
    return kept, "exactly 1 Å or 1 nm is what programs write into an .mrc when they do not know"
