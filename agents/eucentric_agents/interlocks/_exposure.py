"""Turning the states that the watchdog reads into exposures of the specimen."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from eucentric_core.vocabulary import (
    BeamShift,
    CameraAcquire,
    Command,
    InstrumentState,
    ScanAcquire,
    ScanStream,
    SimulationDrift,
    SpectrumAcquire,
)

from ._dose import dose_e_per_a2, look_ahead_s
from ._field import Field, around
from ._limits import DoseLimits

__all__ = ["Exposure", "ExposureMeter", "field_of", "is_finite"]

_WIDEST_FIELD_M = 1e-2
_SHORTEST_INTERVAL_S = 0.05
_LONGEST_REACTION_S = 1.0
_BURST = 1.5
_FORGET = 0.8


@dataclass(frozen=True, slots=True)
class Exposure:
    """The beam was on for a while. `dose_e_per_a2` is 0 where the current is not known.

    `field` is the smaller field of the interval's two ends, whose dose is the larger; `within` holds both,
    and every way between them.
    """

    field: Field
    within: Field
    dose_e_per_a2: float
    beam_on_s: float


@dataclass(slots=True)
class _Scan:
    frame_time_s: float
    aspect: float
    frames_left: float


@dataclass(frozen=True, slots=True)
class _Drift:
    current_factor: float
    field_factor: float
    until_sequence: int


class ExposureMeter:
    """Follows the beam from state to state; whoever calls holds a lock.

    An interval counts in full if the beam was on at its beginning or at its end, with the larger of the two
    currents and in both fields. Frames that were finished meanwhile count with at least their full dose, for
    instruments whose clock is not the wall's.
    """

    def __init__(self) -> None:
        self._last: tuple[float, InstrumentState] | None = None
        self._last_current_a: float | None = None
        self._scan: _Scan | None = None
        self._shifts_m = (0.0, 0.0)
        self._drift: _Drift | None = None
        self._counted_s = 0.0
        self._interval_s = 0.0
        self._beam_s_per_s = 1.0

    def note(self, command: Command, state: InstrumentState) -> None:
        """A command was admitted that changes where the dose goes from now on."""
        if isinstance(command, ScanAcquire | ScanStream) and not state.scanning:
            frames = 1.0 if isinstance(command, ScanAcquire) else float(command.max_frames or math.inf)
            self._scan = _Scan(
                command.dwell_time_s * command.height_px * command.width_px,
                command.height_px / command.width_px,
                frames,
            )
            self._counted_s = 0.0
        elif isinstance(command, CameraAcquire | SpectrumAcquire) and not state.scanning:
            # They count in the session's sequence too, and take their exposure instead.
            self._scan = _Scan(command.exposure_s, 1.0, 1.0)
            self._counted_s = 0.0
        elif isinstance(command, BeamShift):
            self._shifts_m = (self._shifts_m[1], math.hypot(command.x_m, command.y_m))
        elif isinstance(command, SimulationDrift):
            self._drift = _Drift(
                max(1.0, command.beam_current_factor),
                min(1.0, command.field_of_view_factor),
                state.next_sequence + command.over_frames,
            )

    def current_a(self, state: InstrumentState, limits: DoseLimits) -> float | None:
        """The beam current that counts: reported now, or lately while it is blanked, or assumed.

        A reported 0 says nothing: it is what instruments report that measure on a lifted screen, or that
        know what reaches the specimen behind a blanker.
        """
        reported = state.optics.beam_current_a
        if reported:
            return reported
        if state.beam_blanked and self._last_current_a is not None:
            return self._last_current_a
        return limits.assumed_beam_current_a

    def field(self, state: InstrumentState) -> Field:
        """Where the beam is, or would be."""
        aspect = self._scan.aspect if self._scan is not None and state.scanning else 1.0
        return field_of(state, aspect=aspect, reach_m=self.reach_m)

    @property
    def reach_m(self) -> float:
        """How far the beam may be shifted; the shift before the last counts too, for the last may fail."""
        return max(self._shifts_m)

    def advance(self, now_s: float, state: InstrumentState, limits: DoseLimits) -> Exposure | None:
        """What the specimen has received since the last call."""
        before = self._last
        if not is_finite(state):
            # Time passes all the same, and the beam counts as being where it was last seen.
            if before is None:
                return None
            state = before[1].model_copy(update={"beam_blanked": state.beam_blanked})
        self._last = (now_s, state)
        if state.optics.beam_current_a:
            self._last_current_a = state.optics.beam_current_a
        if before is None:
            return None
        interval_s = max(0.0, now_s - before[0])
        self._interval_s = 0.0 if before[1].beam_blanked else interval_s
        exposure = None
        if not (before[1].beam_blanked and state.beam_blanked):
            exposure = self._exposure(before[1], state, interval_s, limits)
        if not state.scanning:
            self._counted_s = 0.0
        if self._drift is not None and state.next_sequence >= self._drift.until_sequence:
            self._drift = None
        return exposure

    def outlook(self, state: InstrumentState, limits: DoseLimits) -> tuple[Field, float | None]:
        """Field and beam current (A) of what comes next."""
        return self._drifted(self.field(state), self.current_a(state, limits))

    def ahead_s(self, state: InstrumentState, limits: DoseLimits) -> float:
        """How much beam time is as good as spent; see `look_ahead_s`."""
        # A watchdog that has been slow may be slow again.
        reaction_s = max(limits.reaction_s, min(2 * self._interval_s, _LONGEST_REACTION_S))
        scan = self._scan if state.scanning else None
        ahead_s = look_ahead_s(
            reaction_s,
            frame_time_s=None if scan is None else scan.frame_time_s,
            into_frame_s=self._counted_s,
            frames_left=0.0 if scan is None else scan.frames_left,
        )
        # A simulator's frames may come faster than their dwell times add up to.
        return ahead_s + (self._beam_s_per_s * reaction_s if self._beam_s_per_s > _BURST else 0.0)

    def _drifted(self, field: Field, current_a: float | None) -> tuple[Field, float | None]:
        if self._drift is None:
            return field, current_a
        side = self._drift.field_factor
        smaller = replace(field, width_m=field.width_m * side, height_m=field.height_m * side)
        return smaller, None if current_a is None else current_a * self._drift.current_factor

    def _exposure(
        self, before: InstrumentState, after: InstrumentState, interval_s: float, limits: DoseLimits
    ) -> Exposure:
        on = [state for state in (before, after) if not state.beam_blanked]
        currents = [self.current_a(state, limits) for state in on]
        known = [current for current in currents if current is not None]
        fields = [self.field(before), self.field(after)]
        if not _same_region(fields[0], fields[1], limits.region_size_m):
            self._counted_s = 0.0
        if self._scan is not None and before.next_sequence != after.next_sequence:
            # A scan that came and went between two looks.
            fields.append(field_of(after, aspect=self._scan.aspect, reach_m=self.reach_m))
        dosed_s = interval_s + self._unseen_s(before, after, interval_s)
        self._beam_s_per_s = max(
            dosed_s / max(interval_s, _SHORTEST_INTERVAL_S), self._beam_s_per_s * _FORGET
        )
        field = min(fields, key=lambda each: each.area_m2)
        dose = dose_e_per_a2(max(known), dosed_s, field) if known else 0.0
        return Exposure(field, around(*fields), dose, interval_s)

    def _unseen_s(self, before: InstrumentState, after: InstrumentState, interval_s: float) -> float:
        """Beam time of frames that were finished, beyond the time that has been counted for them."""
        if self._scan is None:
            return 0.0
        first = before.next_sequence if before.session == after.session else 0
        frames = max(0, after.next_sequence - first)
        self._scan.frames_left = max(0.0, self._scan.frames_left - frames)
        counted_s = self._counted_s + interval_s
        finished_s = frames * self._scan.frame_time_s
        self._counted_s = min(max(0.0, counted_s - finished_s), self._scan.frame_time_s)
        return max(0.0, finished_s - counted_s)


def _same_region(one: Field, other: Field, size_m: float) -> bool:
    return all(
        math.floor(a / size_m) == math.floor(b / size_m)
        for a, b in ((one.x_m, other.x_m), (one.y_m, other.y_m))
    )


def field_of(state: InstrumentState, *, aspect: float = 1.0, reach_m: float = 0.0) -> Field:
    """The field at the stage's position, `aspect` = height / width; a turned scan reaches further."""
    # Where the field is unknown and a limit needs it, `find_unknown_field` has refused before this.
    width_m = state.optics.field_of_view_m or _WIDEST_FIELD_M
    height_m = width_m * aspect
    if state.optics.scan_rotation_rad != 0.0:
        reach_m += (math.hypot(width_m, height_m) - min(width_m, height_m)) / 2
    return Field(state.stage.x_m, state.stage.y_m, width_m, height_m, reach_m)


def is_finite(state: InstrumentState) -> bool:
    """Whether everything that interlocks count with is a number."""
    stage, optics = state.stage, state.optics
    return all(
        value is None or math.isfinite(value)
        for value in (
            stage.x_m,
            stage.y_m,
            stage.z_m,
            stage.alpha_rad,
            stage.beta_rad,
            optics.field_of_view_m,
            optics.beam_current_a,
            optics.scan_rotation_rad,
        )
    ) and (optics.field_of_view_m is None or optics.field_of_view_m > 0)
