"""temscript's names and units behind the parts of a vendor's microscope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eucentric_core import CommandRefusedError, ConfigurationError, Optics, StagePosition

from ..vendor_api import (
    BeamPart,
    Scalar,
    StagePart,
    Target,
    Vector,
    VendorCallError,
    VendorScope,
    narrowed,
    within_bounds,
)
from ._imaging import cameras, scan
from ._options import TemscriptOptions

__all__ = ["describe"]

Microscope = Any
"""A `temscript.RemoteMicroscope`, whose methods all come from a package without types."""

_NULL_FIELD_WIDTH_M = 0.1
_AXES = {"x_m": "x", "y_m": "y", "z_m": "z", "alpha_rad": "a", "beta_rad": "b"}
_ONE_TILT = ("NONE", "SINGLE_TILT", "INVALID")
_MOVING = ("GOING", "MOVING", "WOBBLING")
_IN_METRES = ("TITAN", "NULL")
"""Product families whose probe defocus is in metres."""


def describe(microscope: Microscope, *, options: TemscriptOptions) -> VendorScope[Microscope]:
    """What the microscope has.

    Raises:
        ConfigurationError: nothing tells the field of view.
    """
    family = str(microscope.get_family())
    simulated = family == "NULL"
    stem = bool(microscope.is_stem_available())
    widths_m = _widths_m(options, simulated=simulated)
    read_field = _read_field_of_view(widths_m, stem=stem)
    in_metres = family in _IN_METRES
    defocus = _defocus(options, in_metres=in_metres)
    rotation = _rotation() if stem else None

    def optics(scope: Microscope) -> Optics:
        voltage_v = float(scope.get_voltage()) * 1e3
        angle_rad = float(scope.get_convergence_angle()) if in_metres else 0.0
        return Optics(
            high_tension_v=voltage_v or None,
            beam_current_a=None,
            convergence_angle_rad=angle_rad or None,
            defocus_m=None if defocus is None else defocus.read(scope),
            field_of_view_m=read_field(scope),
            dwell_time_s=None,
            scan_rotation_rad=0.0 if rotation is None else rotation.read(scope),
        )

    title = "SIMULATED null microscope of temscript" if simulated else f"{family} through temscript"
    return VendorScope(
        model=f"{title} {microscope.get_version()}",
        simulated=simulated,
        untested=not simulated,
        notes=_notes(options, simulated=simulated),
        beam=BeamPart(
            blanked=lambda scope: bool(scope.get_beam_blanked()),
            blank=lambda scope, on: scope.set_beam_blanked(on),
        ),
        optics=optics,
        stage=_stage(microscope, options),
        defocus=defocus,
        stigmator=_stigmator(options.calibrations.stigmator_m_per_unit),
        beam_shift=Vector(
            read=lambda scope: _pair(scope.get_beam_shift()),
            write=lambda scope, shift: scope.set_beam_shift(list(shift)),
        ),
        field_of_view=_field_of_view(read_field, widths_m[0]) if stem else None,
        scan_rotation=rotation,
        column_valve=_switch_valve,
        scan=scan(microscope, options) if stem and widths_m[0] is not None else None,
        cameras=cameras(microscope, options),
    )


def _notes(options: TemscriptOptions, *, simulated: bool) -> str:
    said = ["temscript cannot halt a stage move: the safe state blanks the beam and sends no further move."]
    if options.urgent_address is None:
        said.append(
            "Its server answers one call at a time, so that blanking waits for an exposure: "
            f"acquisitions are limited to {options.longest_acquisition_s:g} s."
        )
    if simulated:
        said.append("SIMULATED: nothing is imaged, camera frames are zeros.")
    else:
        said.append("Untested on hardware.")
    return " ".join(said)


def _widths_m(options: TemscriptOptions, *, simulated: bool) -> tuple[float | None, float | None]:
    """Field widths at magnification 1 in STEM and in TEM mode."""
    calibrations = options.calibrations
    scanned = calibrations.field_width_at_magnification_1_m
    illuminated = calibrations.tem_field_width_at_magnification_1_m
    if simulated:
        return scanned or _NULL_FIELD_WIDTH_M, illuminated or _NULL_FIELD_WIDTH_M
    if scanned is None and illuminated is None:
        raise ConfigurationError(
            "Nothing says how wide the field of view is at a magnification.",
            safe="nothing was moved; a field of view is never guessed, and no dose is known without it.",
            next_step="measure it with a grating and give "
            "agent.driver.calibrations.field_width_at_magnification_1_m.",
        )
    return scanned, illuminated


def _read_field_of_view(
    widths_m: tuple[float | None, float | None], *, stem: bool
) -> Callable[[Microscope], float]:
    def read(scope: Microscope) -> float:
        scanning = stem and scope.get_instrument_mode() == "STEM"
        width_m = widths_m[0] if scanning else widths_m[1]
        magnification = float(
            scope.get_stem_magnification() if scanning else scope.get_indicated_magnification()
        )
        if width_m is None or magnification <= 0:
            raise VendorCallError(
                f"In {'STEM' if scanning else 'this TEM'} mode the field of view is not known.",
                safe="nothing was changed; a field of view is never guessed.",
                next_step="switch to a calibrated imaging mode, or add a record to the calibrations.",
            )
        return width_m / magnification

    return read


def _field_of_view(read: Callable[[Microscope], float], width_m: float | None) -> Scalar[Microscope] | None:
    if width_m is None:
        return None
    return Scalar(read, lambda scope, field_m: scope.set_stem_magnification(width_m / field_m))


def _rotation() -> Scalar[Microscope]:
    return Scalar(
        lambda scope: float(scope.get_stem_rotation()),
        lambda scope, rotation_rad: scope.set_stem_rotation(rotation_rad),
    )


def _defocus(options: TemscriptOptions, *, in_metres: bool) -> Scalar[Microscope] | None:
    if in_metres:
        return Scalar(
            lambda scope: float(scope.get_probe_defocus()),
            lambda scope, defocus_m: scope.set_probe_defocus(defocus_m),
        )
    per_unit = options.calibrations.defocus_m_per_unit
    if not per_unit:
        return None
    return Scalar(
        lambda scope: float(scope.get_defocus()) * per_unit,
        lambda scope, defocus_m: scope.set_defocus(defocus_m / per_unit),
    )


def _stigmator(per_unit: float | None) -> Vector[Microscope] | None:
    if not per_unit:
        return None

    def read(scope: Microscope) -> tuple[float, float]:
        x, y = _pair(scope.get_condenser_stigmator())
        return x * per_unit, y * per_unit

    return Vector(
        read, lambda scope, a12: scope.set_condenser_stigmator([a12[0] / per_unit, a12[1] / per_unit])
    )


def _stage(microscope: Microscope, options: TemscriptOptions) -> StagePart[Microscope]:
    reported = microscope.get_stage_limits()
    one_tilt = microscope.get_stage_holder() in _ONE_TILT
    limits = {
        ours: (float(low), float(high))
        for ours, theirs in _AXES.items()
        if not (one_tilt and theirs == "b")
        for low, high in [reported.get(theirs, (0.0, 0.0))]
        if low < high
    }

    def read(scope: Microscope) -> StagePosition:
        position = scope.get_stage_position()
        return StagePosition.model_validate({axis: float(position.get(_AXES[axis], 0.0)) for axis in _AXES})

    def go(scope: Microscope, target: Target, _halted: Callable[[], bool]) -> None:
        scope.set_stage_position({_AXES[axis]: value for axis, value in target.items()}, method="GO")

    def moving(scope: Microscope) -> bool:
        status = scope.get_stage_status()
        if status in ("DISABLED", "DISABLE", "NOT_READY"):
            raise VendorCallError(
                f"The stage is {status.lower().replace('_', ' ')}.",
                safe="it does not move.",
                next_step="enable it in the microscope's own software.",
            )
        return status in _MOVING

    return StagePart(read, go, moving, narrowed(within_bounds(limits), options.stage_limits))


def _switch_valve(scope: Microscope, valve_open: bool) -> None:
    vacuum = scope.get_vacuum()["status"]
    if valve_open and vacuum != "READY":
        raise CommandRefusedError(
            f"The vacuum is not ready ({vacuum}).",
            safe="the column valves stay closed.",
            next_step="wait until the vacuum system says that it is ready.",
        )
    scope.set_column_valves_open(valve_open)
    if bool(scope.get_column_valves_open()) != valve_open:
        raise VendorCallError(
            f"The column valves did not {'open' if valve_open else 'close'}.",
            safe="they are as they were.",
            next_step="look at the vacuum in the microscope's own software.",
        )


def _pair(values: Any) -> tuple[float, float]:
    x, y = values
    return float(x), float(y)
