"""PyJEM's names and units behind the parts of a vendor's microscope: nm, degrees, DAC counts, indices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import degrees, radians
from typing import Any

from eucentric_core import CommandRefusedError, Optics, StageLimits, StagePosition

from ..vendor_api import (
    BeamPart,
    Scalar,
    StagePart,
    Target,
    Vector,
    VendorCallError,
    VendorScope,
    chosen_detector,
)
from ._counts import Counts, CountVector
from ._detector import JeolDetector
from ._options import FieldOfViewRecord, PyjemOptions

__all__ = ["Jeol", "describe"]

_NM = 1e-9
_AXES = ("x_m", "y_m", "z_m", "alpha_rad", "beta_rad")
_MOVING, _AT_LIMIT = 1, 2
"""What `Stage3.GetStatus` says of an axis."""

_NOTES = (
    "Untested on hardware: written to the call names that JEOL publishes for PyJEM. "
    "Verbs whose raw values have no calibration record are absent, and so are cameras."
)


@dataclass(frozen=True, slots=True)
class Jeol:
    """PyJEM's objects, made on the thread that uses them."""

    stage: Any
    deflectors: Any
    electron_optics: Any
    lenses: Any
    high_tension: Any
    gun: Any
    detectors: Any


def describe(jeol: Jeol, *, options: PyjemOptions) -> VendorScope[Jeol]:
    """What the microscope has.

    Raises:
        ConfigurationError: there are several scanning detectors and none was chosen.
    """
    calibrations = options.calibrations
    field = _field_of_view(calibrations.fields_of_view)
    defocus = None if calibrations.defocus is None else _defocus(calibrations.defocus)
    name = chosen_detector(tuple(jeol.detectors.get_attached_detector()), options.scan_detector)
    detector = None if name is None else JeolDetector(name, calibrations.frame_sizes_px)
    rotation = None if detector is None else Scalar(detector.rotation_rad, detector.rotate)

    def optics(scope: Jeol) -> Optics:
        return Optics(
            high_tension_v=float(scope.high_tension.GetHtValue()) or None,
            beam_current_a=None,
            convergence_angle_rad=None,
            defocus_m=None if defocus is None else defocus.read(scope),
            field_of_view_m=field.read(scope),
            dwell_time_s=None,
            scan_rotation_rad=0.0 if rotation is None else rotation.read(scope),
        )

    scans = detector is not None and bool(calibrations.frame_sizes_px)
    return VendorScope(
        model="JEOL through PyJEM",
        simulated=False,
        untested=True,
        notes=_NOTES,
        beam=BeamPart(
            blanked=lambda scope: int(scope.deflectors.GetBeamBlank()) == 1,
            blank=lambda scope, on: scope.deflectors.SetBeamBlank(int(on)),
        ),
        optics=optics,
        stage=_stage(options.stage_limits),
        defocus=defocus,
        stigmator=_pair(calibrations.stigmator, "CLs"),
        beam_shift=_pair(calibrations.beam_shift, "CLA1"),
        field_of_view=field,
        scan_rotation=rotation,
        park=detector.park if detector is not None and scans else None,
        auto_focus=None if detector is None else detector.auto_focus,
        column_valve=_switch_valve,
        scan=detector.part(options.scan_stream, _require_stem) if detector is not None and scans else None,
    )


def _stage(limits: StageLimits | None) -> StagePart[Jeol]:
    def read(scope: Jeol) -> StagePosition:
        x, y, z, alpha, beta = (float(value) for value in scope.stage.GetPos())
        values = (x * _NM, y * _NM, z * _NM, radians(alpha), radians(beta))
        return StagePosition.model_validate(dict(zip(_AXES, values, strict=True)))

    def go(scope: Jeol, target: Target, halted: Callable[[], bool]) -> None:
        move = {
            "x_m": lambda value: scope.stage.SetX(value / _NM),
            "y_m": lambda value: scope.stage.SetY(value / _NM),
            "z_m": lambda value: scope.stage.SetZ(value / _NM),
            "alpha_rad": lambda value: scope.stage.SetTiltXAngle(degrees(value)),
            "beta_rad": lambda value: scope.stage.SetTiltYAngle(degrees(value)),
        }
        for axis, value in target.items():
            if not halted():
                move[axis](value)

    def moving(scope: Jeol) -> bool:
        status = [int(value) for value in scope.stage.GetStatus()]
        if _AT_LIMIT in status:
            raise VendorCallError(
                f"The stage is at a hardware limit (axis {_AXES[status.index(_AT_LIMIT)]}).",
                safe="no further move is sent.",
                next_step="drive it back at the instrument itself.",
            )
        return _MOVING in status

    return StagePart(read, go, moving, limits or StageLimits(), halt=lambda scope: scope.stage.Stop())


def _field_of_view(records: tuple[FieldOfViewRecord, ...]) -> Scalar[Jeol]:
    def read(scope: Jeol) -> float:
        indicated = float(scope.electron_optics.GetMagValue()[0])
        for record in records:
            if _close(indicated, record.magnification):
                return record.field_of_view_m
        raise VendorCallError(
            f"The magnification {indicated:g} has no calibration record.",
            safe="nothing was changed; a field of view is never guessed.",
            next_step="choose a calibrated magnification, or add it to the driver's calibrations.",
        )

    def write(scope: Jeol, field_of_view_m: float) -> None:
        record = min(records, key=lambda record: abs(record.field_of_view_m - field_of_view_m))
        if not _close(record.field_of_view_m, field_of_view_m):
            known = ", ".join(f"{record.field_of_view_m:.4g}" for record in records)
            raise CommandRefusedError(
                f"A field of view of {field_of_view_m:.4g} m is not among the calibrated ones.",
                safe="the magnification was not changed.",
                next_step=f"use one of {known} m.",
            )
        scope.electron_optics.SetSelector(record.selector)

    return Scalar(read, write)


def _defocus(counts: Counts) -> Scalar[Jeol]:
    return Scalar(
        lambda scope: counts.metres(int(scope.lenses.GetOLc())),
        lambda scope, defocus_m: scope.lenses.SetOLc(counts.counts(defocus_m)),
    )


def _pair(counts: CountVector | None, name: str) -> Vector[Jeol] | None:
    if counts is None:
        return None
    calls: dict[str, tuple[Callable[[Jeol], Any], Callable[[Jeol, int, int], Any]]] = {
        "CLs": (lambda s: s.deflectors.GetCLs(), lambda s, x, y: s.deflectors.SetCLs(x, y)),
        "CLA1": (lambda s: s.deflectors.GetCLA1(), lambda s, x, y: s.deflectors.SetCLA1(x, y)),
    }
    get, put = calls[name]

    def read(scope: Jeol) -> tuple[float, float]:
        x, y = get(scope)
        return counts.metres((int(x), int(y)))

    return Vector(read, lambda scope, value: put(scope, *counts.counts(value)))


def _switch_valve(scope: Jeol, valve_open: bool) -> None:
    scope.gun.SetBeamValve(int(valve_open))
    if bool(scope.gun.GetBeamValve()) != valve_open:
        raise VendorCallError(
            f"The beam valve did not {'open' if valve_open else 'close'}.",
            safe="it is as it was.",
            next_step="look at the vacuum and the gun in TEMCenter.",
        )


def _require_stem(scope: Jeol) -> None:
    if int(scope.electron_optics.GetTemStemMode()) != 1:
        raise CommandRefusedError(
            "The microscope is not in STEM mode.",
            safe="nothing was scanned.",
            next_step="switch it to STEM in TEMCenter.",
        )


def _close(left: float, right: float) -> bool:
    return abs(left - right) <= 0.01 * abs(right)
