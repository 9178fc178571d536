"""What a file says about the microscope, where it is certain in which unit it says so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from math import radians
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from eucentric_core import Optics, StagePosition

from ._signal import VendorSignal

__all__ = ["MicroscopeFacts", "microscope_facts"]

# HyperSpy's conventions: keV, mrad, nA, s; mm and degrees for the stage.
_OPTICS = {
    "high_tension_v": ("beam_energy", 1e3),
    "convergence_angle_rad": ("convergence_angle", 1e-3),
    "beam_current_a": ("beam_current", 1e-9),
    "dwell_time_s": ("dwell_time", 1.0),
}
_STAGE = {
    "x_m": ("x", 1e-3),
    "y_m": ("y", 1e-3),
    "z_m": ("z", 1e-3),
    "alpha_rad": ("tilt_alpha", radians(1.0)),
    "beta_rad": ("tilt_beta", radians(1.0)),
}
# Velox writes SI throughout, as text.
_VELOX_OPTICS = {
    "high_tension_v": ("Optics", "AccelerationVoltage"),
    "defocus_m": ("Optics", "Defocus"),
    "dwell_time_s": ("Scan", "DwellTime"),
}
_VELOX_STAGE = {
    "x_m": ("Stage", "Position", "x"),
    "y_m": ("Stage", "Position", "y"),
    "z_m": ("Stage", "Position", "z"),
    "alpha_rad": ("Stage", "AlphaTilt"),
    "beta_rad": ("Stage", "BetaTilt"),
}
# Of the other readers it is not documented in which unit they hand over the position of the stage.
_STAGE_IN_MM = frozenset({"DigitalMicrograph", "HSPY", "ZSPY"})
_OFFSET = re.compile(r"^(?:UTC)?([+-])(\d{2}):?(\d{2})$")


@dataclass(frozen=True, slots=True)
class MicroscopeFacts:
    """Fields of `Optics` and of `StagePosition` that a file states, and when it says it was acquired."""

    optics: dict[str, float] = field(default_factory=dict)
    stage: dict[str, float] = field(default_factory=dict)
    acquired_utc: datetime | None = None


def microscope_facts(signal: VendorSignal) -> MicroscopeFacts:
    """What is certain: known places, documented units, believable numbers. A zero that means "nobody
    measured" (beam current, convergence angle) is no fact.
    """
    acquired = _acquired(signal.metadata.get("General", {}))
    original = signal.original_metadata
    if signal.reader == "EMD" and isinstance(original.get("Optics"), Mapping):
        velox_optics = {name: _number(original, path) for name, path in _VELOX_OPTICS.items()}
        velox_stage = {name: _number(original, path) for name, path in _VELOX_STAGE.items()}
        angle = {"convergence_angle_rad": _from_hyperspy(signal, "convergence_angle", 1e-3)}
        return MicroscopeFacts(
            _believable_optics({**velox_optics, **angle}), _believable_stage(velox_stage), acquired
        )
    optics = {name: _from_hyperspy(signal, key, factor) for name, (key, factor) in _OPTICS.items()}
    stage = {
        name: _from_hyperspy(signal, key, factor, "Stage")
        for name, (key, factor) in _STAGE.items()
        if signal.reader in _STAGE_IN_MM
    }
    return MicroscopeFacts(_believable_optics(optics), _believable_stage(stage), acquired)


def _from_hyperspy(signal: VendorSignal, key: str, factor: float, *below: str) -> float | None:
    number = _number(signal.metadata, ("Acquisition_instrument", "TEM", *below, key))
    return None if number is None else number * factor


def _number(tree: Any, path: tuple[str, ...]) -> float | None:
    for part in path:
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    if isinstance(tree, bool) or not isinstance(tree, int | float | str):
        return None
    try:
        return float(tree)
    except ValueError:
        return None


def _believable_optics(found: Mapping[str, float | None]) -> dict[str, float]:
    kept = {}
    unknown: dict[str, float | None] = dict.fromkeys(
        name for name, info in Optics.model_fields.items() if info.is_required()
    )
    for name, value in found.items():
        if value is None or (value == 0.0 and name != "defocus_m"):
            continue
        try:
            Optics.model_validate({**unknown, name: value})
        except ValidationError:
            continue
        kept[name] = value
    return kept


def _believable_stage(found: Mapping[str, float | None]) -> dict[str, float]:
    kept = {}
    for name, value in found.items():
        try:
            StagePosition.model_validate({name: value})
        except ValidationError:
            continue
        if value is not None:
            kept[name] = value
    return kept


def _acquired(general: Any) -> datetime | None:
    """The time of acquisition, if the file says in which time zone its clock ran."""
    if not isinstance(general, Mapping):
        return None
    zone = _zone(str(general.get("time_zone") or ""))
    if zone is None:
        return None
    try:
        local = datetime.fromisoformat(f"{general.get('date')}T{general.get('time')}")
    except ValueError:
        return None
    return local.replace(tzinfo=zone).astimezone(UTC)


def _zone(text: str) -> tzinfo | None:
    if not text:
        return None
    offset = _OFFSET.match(text)
    if offset is not None:
        sign = -1 if offset[1] == "-" else 1
        return timezone(sign * timedelta(hours=int(offset[2]), minutes=int(offset[3])))
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError):
        return None
