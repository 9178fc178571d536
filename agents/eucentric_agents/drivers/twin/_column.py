"""The electron column: blanker, probe, defocus, field of view, and how they drift away."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from eucentric_core import CommandRefusedError, Optics
from eucentric_core.vocabulary import SimulationDrift
from eucentric_models.image_formation import ImagingConditions

from ._options import ColumnOptions, DetectorOptions

__all__ = ["Column", "ColumnState"]

_MAX_DEFOCUS_M = 5e-7
_MAX_CURRENT_A = 1e-7
_MIN_FIELD_M = 5e-10


@dataclass(frozen=True, slots=True)
class ColumnState:
    """What the column does at one moment."""

    blanked: bool
    field_of_view_m: float
    defocus_m: float
    beam_current_a: float


@dataclass(frozen=True, slots=True)
class _Drift:
    field_factor: float
    defocus_m: float
    current_factor: float
    frames: int


class Column:
    """Settings of the column. Wakes up blanked. Any thread may use it."""

    def __init__(
        self, column: ColumnOptions, detector: DetectorOptions, *, max_field_of_view_m: float
    ) -> None:
        self._lock = threading.Lock()
        self._column = column
        self._detector = detector
        self._max_field_of_view_m = max_field_of_view_m
        self._state = ColumnState(True, column.field_of_view_m, column.defocus_m, column.beam_current_a)
        self._drift = _Drift(1.0, 0.0, 1.0, 0)
        self._check(self._state)

    @property
    def state(self) -> ColumnState:
        """The column as it stands."""
        return self._state

    def blank(self, blanked: bool) -> None:
        """Take the beam off the specimen, or let it on."""
        with self._lock:
            self._state = replace(self._state, blanked=blanked)

    def set_defocus(self, defocus_m: float) -> None:
        """Set the defocus (m); `CommandRefusedError` beyond 500 nm."""
        self._set(replace(self._state, defocus_m=defocus_m))

    def set_field_of_view(self, field_of_view_m: float) -> None:
        """Set the field of view (m); `CommandRefusedError` outside 0.5 nm to the crystal's extent."""
        self._set(replace(self._state, field_of_view_m=field_of_view_m))

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
            astigmatism_m=column.astigmatism_m,
            astigmatism_angle_rad=column.astigmatism_angle_rad,
            tail_fraction=column.tail_fraction,
            tail_width_ratio=column.tail_width_ratio,
            beam_current_a=state.beam_current_a,
            dwell_time_s=dwell_time_s,
            jitter_rms_px=column.jitter_rms_px,
            **self._detector.model_dump(),
        )

    def optics(self, state: ColumnState, dwell_time_s: float | None) -> Optics:
        """What the instrument says about itself; no current reaches the specimen while it is blanked."""
        return Optics(
            high_tension_v=self._column.high_tension_v,
            beam_current_a=0.0 if state.blanked else state.beam_current_a,
            convergence_angle_rad=self._column.convergence_angle_rad,
            defocus_m=state.defocus_m,
            field_of_view_m=state.field_of_view_m,
            dwell_time_s=dwell_time_s,
        )

    def _set(self, state: ColumnState) -> None:
        with self._lock:
            self._check(state)
            self._state = replace(state, blanked=self._state.blanked)

    def _check(self, state: ColumnState) -> None:
        problem = None
        if not _MIN_FIELD_M <= state.field_of_view_m <= self._max_field_of_view_m:
            problem = f"A field of view of {state.field_of_view_m:.3e} m"
        elif abs(state.defocus_m) > _MAX_DEFOCUS_M:
            problem = f"A defocus of {state.defocus_m:.3e} m"
        elif state.beam_current_a > _MAX_CURRENT_A:
            problem = f"A beam current of {state.beam_current_a:.3e} A"
        if problem is not None:
            raise CommandRefusedError(
                f"{problem} is beyond this column.",
                safe="the optics are unchanged.",
                next_step=f"stay within {_MIN_FIELD_M:.1e} to {self._max_field_of_view_m:.1e} m field of "
                f"view, {_MAX_DEFOCUS_M:.0e} m defocus and {_MAX_CURRENT_A:.0e} A.",
            )
