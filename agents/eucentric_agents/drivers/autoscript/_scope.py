"""AutoScript's names behind the parts of a vendor's microscope. It speaks metres, seconds and radians."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from eucentric_core import CommandRefusedError, Optics, StagePosition
from eucentric_core.vocabulary import CameraAcquire, ScanAcquire, ScanStream

from ..vendor_api import (
    BeamPart,
    CameraPart,
    Scalar,
    ScanPart,
    StagePart,
    Target,
    Vector,
    VendorCallError,
    VendorScope,
    check_square,
    chosen_detector,
    narrowed,
    portable_name,
    stream_name,
    within_bounds,
)
from ._options import AutoscriptOptions

__all__ = ["Vendor", "describe"]

Microscope = Any
"""A connected `TemMicroscopeClient`."""

_AXES = {"x_m": "x", "y_m": "y", "z_m": "z", "alpha_rad": "a", "beta_rad": "b"}
_STEM = "Stem"
"""Value of `OpticalMode.STEM`."""

_NOTES = (
    "Untested on hardware: written to the call names that are published for AutoScript TEM. "
    "Nothing published halts an absolute stage move: the safe state blanks the beam and ends a jog. "
    "The units of its stigmators are not published: optics.stigmator is absent."
)


@dataclass(frozen=True, slots=True)
class Vendor:
    """AutoScript's own structures."""

    stage_position: Callable[..., Any]
    focus_settings: Callable[..., Any]


def describe(
    microscope: Microscope, *, vendor: Vendor, options: AutoscriptOptions
) -> VendorScope[Microscope]:
    """What the microscope has.

    Raises:
        ConfigurationError: there are several scanning detectors and none was chosen.
    """
    names = tuple(str(name) for name in microscope.detectors.scanning_detectors)
    detector = chosen_detector(names, options.scan_detector)
    system = microscope.service.system
    return VendorScope(
        model=f"{system.name} {system.version} through AutoScript TEM",
        simulated=False,
        untested=True,
        notes=_NOTES,
        beam=BeamPart(blanked=lambda scope: bool(scope.optics.blanker.is_beam_blanked), blank=_blank),
        optics=_optics,
        stage=_stage(microscope, vendor, options),
        defocus=Scalar(
            lambda scope: float(scope.optics.defocus),
            lambda scope, value: setattr(scope.optics, "defocus", value),
        ),
        beam_shift=Vector(
            lambda scope: _point(scope.optics.deflectors.beam_shift),
            lambda scope, value: setattr(scope.optics.deflectors, "beam_shift", value),
        ),
        field_of_view=Scalar(
            _field_of_view_m, lambda scope, value: setattr(scope.optics, "scan_field_of_view", value)
        ),
        scan_rotation=Scalar(
            lambda scope: float(scope.optics.scan_rotation),
            lambda scope, value: setattr(scope.optics, "scan_rotation", value),
        ),
        park=lambda scope, place: setattr(scope.optics, "paused_scan_beam_position", list(place)),
        auto_focus=None if detector is None else _auto_focus(detector, vendor, options),
        column_valve=_switch_valves,
        scan=None if detector is None else _scan(detector, options),
        cameras=tuple(
            _camera(str(name), options.camera_frames_px[str(name)])
            for name in microscope.detectors.camera_detectors
            if str(name) in options.camera_frames_px
        ),
        calm=lambda scope: scope.specimen.stage.stop_jogging(),
    )


def _blank(scope: Microscope, on: bool) -> None:
    if on:
        scope.optics.blanker.blank()
    else:
        scope.optics.blanker.unblank()


def _optics(scope: Microscope) -> Optics:
    return Optics(
        high_tension_v=float(scope.source.acceleration_voltage.value) or None,
        beam_current_a=None,
        convergence_angle_rad=None,
        defocus_m=float(scope.optics.defocus),
        field_of_view_m=_field_of_view_m(scope),
        dwell_time_s=None,
        scan_rotation_rad=float(scope.optics.scan_rotation),
    )


def _field_of_view_m(scope: Microscope) -> float:
    if str(scope.optics.optical_mode) != _STEM:
        raise VendorCallError(
            "The microscope is not in STEM mode and indicates no scanned field.",
            safe="nothing was changed.",
            next_step="switch it to STEM in its own software.",
        )
    return float(scope.optics.scan_field_of_view)


def _stage(microscope: Microscope, vendor: Vendor, options: AutoscriptOptions) -> StagePart[Microscope]:
    two_tilts = str(microscope.specimen.stage.get_holder_type()) == "DoubleTilt"
    limits = {
        ours: (float(reported.min), float(reported.max))
        for ours, theirs in _AXES.items()
        if two_tilts or theirs != "b"
        for reported in [microscope.specimen.stage.get_axis_limits(theirs)]
    }

    def read(scope: Microscope) -> StagePosition:
        position = scope.specimen.stage.position
        # A holder with one tilt has no b.
        values = {ours: getattr(position, theirs) for ours, theirs in _AXES.items()}
        return StagePosition.model_validate(
            {axis: 0.0 if value is None else float(value) for axis, value in values.items()}
        )

    def go(scope: Microscope, target: Target, _halted: Callable[[], bool]) -> None:
        axes = {_AXES[axis]: value for axis, value in target.items()}
        scope.specimen.stage.absolute_move_safe(vendor.stage_position(**axes))

    return StagePart(
        read,
        go,
        lambda scope: bool(scope.specimen.stage.is_moving),
        narrowed(within_bounds(limits), options.stage_limits),
    )


def _scan(detector: str, options: AutoscriptOptions) -> ScanPart[Microscope]:
    def check(command: ScanAcquire | ScanStream) -> None:
        check_square(command, options.frame_sizes_px)

    def acquire(scope: Microscope, command: ScanAcquire | ScanStream) -> NDArray[Any]:
        image = scope.acquisition.acquire_stem_image(detector, command.width_px, command.dwell_time_s)
        data: NDArray[Any] = image.data
        return data

    return ScanPart(options.scan_stream or stream_name(detector), check, acquire)


def _camera(name: str, full_px: int) -> CameraPart[Microscope]:
    def check(command: CameraAcquire) -> None:
        if full_px % command.binning:
            raise CommandRefusedError(
                f"{name} has no binning {command.binning}.",
                safe="nothing was acquired.",
                next_step=f"use one that divides {full_px}.",
            )

    def acquire(scope: Microscope, command: CameraAcquire) -> NDArray[Any]:
        size = full_px // command.binning
        data: NDArray[Any] = scope.acquisition.acquire_camera_image(name, size, command.exposure_s).data
        return data

    return CameraPart(portable_name(name), stream_name(name), check, acquire)


def _auto_focus(detector: str, vendor: Vendor, options: AutoscriptOptions) -> Callable[[Microscope], None]:
    def run(scope: Microscope) -> None:
        settings = vendor.focus_settings(
            scanning_detector=detector, size=options.focus_frame_px, dwell_time=options.focus_dwell_time_s
        )
        scope.auto_functions.run_stem_auto_focus(settings)

    return run


def _switch_valves(scope: Microscope, valve_open: bool) -> None:
    valves = scope.vacuum.column_valves
    if valve_open:
        valves.open()
    else:
        valves.close()
    if (str(valves.state) == "Opened") != valve_open:
        raise VendorCallError(
            f"The column valves did not {'open' if valve_open else 'close'}.",
            safe="they are as they were.",
            next_step="look at the vacuum in the microscope's own software.",
        )


def _point(value: Any) -> tuple[float, float]:
    return float(value.x), float(value.y)
