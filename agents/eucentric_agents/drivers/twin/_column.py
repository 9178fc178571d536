"""The electron column: valve, blanker, probe, lenses and scan coils, and how they drift away."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from math import atan2, cos, hypot, sin
from typing import Any

from eucentric_core import CommandRefusedError, Optics
from eucentric_core.vocabulary import SimulationDrift
from eucentric_models.image_formation import ImagingConditions

from ._hardware_log import HardwareLog
from ._options import TwinOptions

__all__ = ["Column", "ColumnState"]

_MAX_DEFOCUS_M = 5e-7
_MAX_CURRENT_A = 1e-7
_MIN_FIELD_M = 5e-10
_MAX_SHIFT_M = 2e-6
_MAX_ASTIGMATISM_M = 1e-6


@dataclass(frozen=True, slots=True)
class ColumnState:
    """What the column does at one moment.

    `parked` is where the probe rests between scans, as (y, x) fractions of the field; None: it rests off
    the specimen. `turned_s` is when the beam last
    left the specimen or came back to it.
    """

    blanked: bool
    field_of_view_m: float
    defocus_m: float
    beam_current_a: float
    valve_open: bool = True
    astigmatism_m: float = 0.0
    astigmatism_angle_rad: float = 0.0
    shift_m: tuple[float, float] = (0.0, 0.0)
    rotation_rad: float = 0.0
    parked: tuple[float, float] | None = None
    turned_s: float = 0.0

    @property
    def dark(self) -> bool:
        """Whether no electron reaches the specimen."""
        return self.blanked or not self.valve_open


@dataclass(frozen=True, slots=True)
class _Drift:
    field_factor: float
    defocus_m: float
    current_factor: float
    frames: int


class Column:
    """Settings of the column. Wakes up blanked, with its valve open. Any thread may use it.

    Args:
        options: the twin's.
        log: what the hardware was told.
    """

    def __init__(self, options: TwinOptions, log: HardwareLog) -> None:
        self._lock = threading.Lock()
        self._column = options.column
        self._detector = options.detector
        self._max_field_of_view_m = options.extent_m
        self._max_shift_m = min(_MAX_SHIFT_M, options.extent_m / 2)
        self._log = log
        self._state = ColumnState(
            True,
            options.field_of_view_m,
            self._column.defocus_m,
            self._column.beam_current_a,
            astigmatism_m=self._column.astigmatism_m,
            astigmatism_angle_rad=self._column.astigmatism_angle_rad,
            turned_s=time.monotonic(),
        )
        self._drift = _Drift(1.0, 0.0, 1.0, 0)
        self._check(self._state)
        log.write("beam.blank", reason="power on")

    @property
    def state(self) -> ColumnState:
        """The column as it stands."""
        return self._state

    def blank(self, blanked: bool) -> None:
        """Take the beam off the specimen, or let it on."""
        with self._lock:
            self._turn(replace(self._state, blanked=blanked))
            self._log.write("beam.blank" if blanked else "beam.unblank")

    def set_valve(self, opened: bool) -> None:
        """Open or close the column valve."""
        with self._lock:
            self._turn(replace(self._state, valve_open=opened))
            self._log.write("column.valve", open=opened)

    def park(self, place: tuple[float, float]) -> None:
        """Let the probe rest at (y, x) fractions of the field whenever it does not scan."""
        with self._lock:
            self._state = replace(self._state, parked=place)
            self._log.write("beam.park", y_fraction=place[0], x_fraction=place[1])

    def set_defocus(self, defocus_m: float) -> None:
        """Set the defocus (m); `CommandRefusedError` beyond 500 nm."""
        self._set("optics.defocus", defocus_m=defocus_m)

    def set_field_of_view(self, field_of_view_m: float) -> None:
        """Set the field of view (m); `CommandRefusedError` outside 0.5 nm to the specimen's extent."""
        self._set("optics.field_of_view", field_of_view_m=field_of_view_m)

    def set_shift(self, x_m: float, y_m: float) -> None:
        """Shift the beam to (x, y); `CommandRefusedError` beyond 2 um or half the specimen."""
        self._set("beam.shift", shift_m=(x_m, y_m))

    def set_stigmator(self, x_m: float, y_m: float) -> None:
        """Set the two-fold astigmatism as the vector (A cos 2 phi, A sin 2 phi)."""
        self._set(
            "optics.stigmator", astigmatism_m=hypot(x_m, y_m), astigmatism_angle_rad=atan2(y_m, x_m) / 2
        )

    def set_rotation(self, rotation_rad: float) -> None:
        """Turn the fast scan axis from x towards y."""
        self._set("optics.scan_rotation", rotation_rad=rotation_rad)

    @property
    def stigmator_m(self) -> tuple[float, float]:
        """Two-fold astigmatism as a vector (x, y)."""
        state = self._state
        angle = 2 * state.astigmatism_angle_rad
        return state.astigmatism_m * cos(angle), state.astigmatism_m * sin(angle)

    @property
    def max_shift_m(self) -> float:
        """Longest beam shift along one axis."""
        return self._max_shift_m

    def true_shift_m(self, state: ColumnState) -> tuple[float, float]:
        """How far (x, y) the beam is really shifted: the control's calibration is a little off."""
        scale = 1 + self._column.beam_shift_error
        return scale * state.shift_m[0], scale * state.shift_m[1]

    def drift(self, command: SimulationDrift) -> None:
        """Drift from here over the coming frames; replaces a drift that is under way.

        Raises:
            CommandRefusedError: the drift would leave what the column can do.
        """
        with self._lock:
            self._check(
                replace(
                    self._state,
                    field_of_view_m=self._state.field_of_view_m * command.field_of_view_factor,
                    defocus_m=self._state.defocus_m + command.defocus_change_m,
                    beam_current_a=self._state.beam_current_a * command.beam_current_factor,
                )
            )
            share = 1.0 / command.over_frames
            self._drift = _Drift(
                command.field_of_view_factor**share,
                command.defocus_change_m * share,
                command.beam_current_factor**share,
                command.over_frames,
            )

    def step(self) -> ColumnState:
        """The state for the next frame, after one frame's worth of drift."""
        with self._lock:
            drift = self._drift
            if drift.frames > 0:
                field = self._state.field_of_view_m * drift.field_factor
                defocus = self._state.defocus_m + drift.defocus_m
                self._state = replace(
                    self._state,
                    # Someone may have turned a knob since the drift began: the lenses end where they end.
                    field_of_view_m=min(max(field, _MIN_FIELD_M), self._max_field_of_view_m),
                    defocus_m=min(max(defocus, -_MAX_DEFOCUS_M), _MAX_DEFOCUS_M),
                    beam_current_a=min(self._state.beam_current_a * drift.current_factor, _MAX_CURRENT_A),
                )
                self._drift = replace(drift, frames=drift.frames - 1)
            return self._state

    def conditions(
        self, state: ColumnState, *, width_px: int, dwell_time_s: float, z_m: float
    ) -> ImagingConditions:
        """How a frame looks that is scanned in this state with the specimen `z_m` above focus."""
        column = self._column
        return ImagingConditions(
            pixel_size_m=state.field_of_view_m / width_px,
            probe_sigma_m=column.probe_sigma_m,
            defocus_m=state.defocus_m + z_m,
            convergence_angle_rad=column.convergence_angle_rad,
            astigmatism_m=state.astigmatism_m,
            astigmatism_angle_rad=state.astigmatism_angle_rad,
            tail_fraction=column.tail_fraction,
            tail_width_ratio=column.tail_width_ratio,
            beam_current_a=state.beam_current_a,
            dwell_time_s=dwell_time_s,
            jitter_rms_px=column.jitter_rms_px,
            **self._detector.model_dump(),
        )

    def optics(self, state: ColumnState, dwell_time_s: float | None) -> Optics:
        """What the instrument says about itself; no current reaches the specimen while it is dark."""
        return Optics(
            high_tension_v=self._column.high_tension_v,
            beam_current_a=0.0 if state.dark else state.beam_current_a,
            convergence_angle_rad=self._column.convergence_angle_rad,
            defocus_m=state.defocus_m,
            field_of_view_m=state.field_of_view_m,
            dwell_time_s=dwell_time_s,
            scan_rotation_rad=state.rotation_rad,
        )

    def _set(self, what: str, **changes: Any) -> None:
        with self._lock:
            state = replace(self._state, **changes)
            self._check(state)
            self._state = state
            self._log.write(what, **changes)

    def _turn(self, state: ColumnState) -> None:
        if state.dark is not self._state.dark:
            state = replace(state, turned_s=time.monotonic())
        self._state = state

    def _check(self, state: ColumnState) -> None:
        problem = None
        if not _MIN_FIELD_M <= state.field_of_view_m <= self._max_field_of_view_m:
            problem = f"A field of view of {state.field_of_view_m:.3e} m"
        elif abs(state.defocus_m) > _MAX_DEFOCUS_M:
            problem = f"A defocus of {state.defocus_m:.3e} m"
        elif state.beam_current_a > _MAX_CURRENT_A:
            problem = f"A beam current of {state.beam_current_a:.3e} A"
        elif max(map(abs, state.shift_m)) > self._max_shift_m:
            problem = f"A beam shift of ({state.shift_m[0]:.3e}, {state.shift_m[1]:.3e}) m"
        elif state.astigmatism_m > _MAX_ASTIGMATISM_M:
            problem = f"An astigmatism of {state.astigmatism_m:.3e} m"
        if problem is not None:
            raise CommandRefusedError(
                f"{problem} is beyond this column.",
                safe="the optics are unchanged.",
                next_step=f"stay within {_MIN_FIELD_M:.1e} to {self._max_field_of_view_m:.1e} m field of "
                f"view, {_MAX_DEFOCUS_M:.0e} m defocus, {self._max_shift_m:.1e} m shift, "
                f"{_MAX_ASTIGMATISM_M:.0e} m astigmatism and {_MAX_CURRENT_A:.0e} A.",
            )
