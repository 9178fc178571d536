"""What the tests of the interlocks share: states, a clock, and an instrument that logs what it does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from eucentric_agents.interlocks import Interlocks, InterlockTrip, Limits
from eucentric_core import Capabilities, InterlockError, Optics, StagePosition
from eucentric_core.vocabulary import (
    BeamUnblank,
    Command,
    InstrumentState,
    OpticsFieldOfView,
    ScanAcquire,
    ScanStream,
    SimulationDrift,
    StageMove,
    StageMoveBy,
    StageTilt,
)

CAPABILITIES = Capabilities(instrument="scope", model="bench", simulated=True, verbs=(), streams=())
TICK_S = 0.05
ELEMENTARY_CHARGE_C = 1.602176634e-19

FIELD_M = 1e-7
DOSE_PER_S = 1e-10 / 1.602176634e-19 / FIELD_M**2 * 1e-20
"""Of 100 pA over 100 nm, in electrons per square angstrom and second."""


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self.now_s += duration_s


def a_state(
    *,
    on: bool = True,
    current_a: float | None = 1e-10,
    field_m: float = 1e-7,
    session: str | None = "s",
    scanning: bool = False,
    dwell_s: float | None = None,
    sequence: int = 0,
    rotation_rad: float = 0.0,
    **stage: Any,
) -> InstrumentState:
    """A state of an instrument; the beam is on unless told otherwise."""
    return InstrumentState(
        session=session,
        scanning=scanning,
        beam_blanked=not on,
        next_sequence=sequence,
        stage=StagePosition(**stage),
        optics=Optics(
            high_tension_v=8e4,
            beam_current_a=current_a,
            convergence_angle_rad=None,
            defocus_m=None,
            field_of_view_m=field_m,
            dwell_time_s=dwell_s,
            scan_rotation_rad=rotation_rad,
        ),
        dose_e_per_a2=None,
        simulated=True,
    )


def some_limits(**sections: dict[str, Any]) -> Limits:
    """Limits with these sections."""
    return Limits.model_validate(sections)


BUDGET = some_limits(dose={"region_e_per_a2": 10 * DOSE_PER_S, "assumed_beam_current_a": 1e-10})


def interlocks(limits: Limits, clock: Clock | None = None, **options: Any) -> Interlocks:
    """Interlocks without a file."""
    return Interlocks(limits, CAPABILITIES, path=options.pop("path", None), clock=clock or Clock())


def passes(limits: Limits, command: Command, state: InstrumentState) -> bool:
    """Whether fresh interlocks with these limits admit a command."""
    locks = interlocks(limits)
    try:
        locks.admit(command, state)
    except InterlockError:
        return False
    else:
        return True
    finally:
        locks.close()


@dataclass(frozen=True)
class Dosed:
    """One entry of the log: a rectangle got so many electrons per square angstrom."""

    left_m: float
    bottom_m: float
    width_m: float
    height_m: float
    dose_e_per_a2: float
    session: str | None

    def covers(self, x_m: float, y_m: float) -> bool:
        """Whether a point lies inside."""
        return (
            self.left_m <= x_m <= self.left_m + self.width_m
            and self.bottom_m <= y_m <= self.bottom_m + self.height_m
        )


class Bench:
    """An instrument that does what it is told, without limits of its own, and logs what that means.

    Its time is a clock's; stage axes run at speeds of their own, one after the other in either order. The
    watchdog looks every 50 ms; the beam goes off `reaction_s` after a trip.
    """

    def __init__(self, limits: Limits, *, reaction_s: float = 0.0, z_first: bool = False) -> None:
        self.clock = Clock()
        self.locks = interlocks(limits, self.clock)
        self.state = a_state(on=False)
        self.log: list[Dosed] = []
        self.visited: list[StagePosition] = [self.state.stage]
        self.beam_on_s = 0.0
        self.trips: list[InterlockTrip] = []
        self.refused = 0
        self._z_first = z_first
        self._reaction_s = reaction_s
        self._off_at_s: float | None = None
        self._trip_at_s: float | None = None
        self._aspect = 1.0
        self._frame_s = 0.0
        self._left_s = 0.0

    def do(self, command: Command) -> bool:
        """Send a command through the interlocks; True if it was carried out."""
        try:
            self.locks.admit(command, self.state)
        except InterlockError:
            self.refused += 1
            return False
        self._obey(command)
        return True

    def wait(self, duration_s: float) -> None:
        """Let time pass, tick by tick."""
        end_s = self.clock.now_s + duration_s
        while self.clock.now_s < end_s - 1e-9:
            self._pass_time(min(TICK_S, end_s - self.clock.now_s))
            trip = self.locks.observe(self.state)
            if trip is not None:
                self.trips.append(trip)
                if self._trip_at_s is None:
                    self._trip_at_s = self.clock.now_s + self._reaction_s

    def blank(self) -> None:
        """Blank the beam and stop scanning."""
        self._set(beam_blanked=True, scanning=False)
        self._left_s, self._off_at_s, self._trip_at_s = 0.0, None, None

    def _obey(self, command: Command) -> None:
        if isinstance(command, BeamUnblank):
            self._set(beam_blanked=False)
            self._off_at_s = self.clock.now_s + command.max_duration_s
        elif isinstance(command, ScanAcquire | ScanStream):
            frames = 1 if isinstance(command, ScanAcquire) else command.max_frames
            self._aspect = command.height_px / command.width_px
            self._frame_s = command.dwell_time_s * command.height_px * command.width_px
            self._left_s = float("inf") if frames is None else frames * self._frame_s
            self._set(scanning=True)
        elif isinstance(command, StageMove | StageMoveBy | StageTilt):
            self._move(command)
        elif isinstance(command, OpticsFieldOfView):
            self._optics(field_of_view_m=command.field_of_view_m)
        elif isinstance(command, SimulationDrift):
            current = self.state.optics.beam_current_a or 0.0
            self._optics(beam_current_a=current * command.beam_current_factor)

    def _move(self, command: StageMove | StageMoveBy | StageTilt) -> None:
        stage = self.state.stage
        target = stage
        if isinstance(command, StageMoveBy):
            by = {"x_m": command.dx_m, "y_m": command.dy_m, "z_m": command.dz_m}
            target = stage.model_copy(
                update={axis: getattr(stage, axis) + (d or 0.0) for axis, d in by.items()}
            )
        else:
            named = command.model_dump(exclude={"verb"}, exclude_none=True)
            target = stage.model_copy(update=named)
        axes = ["x_m", "y_m", "alpha_rad", "beta_rad"]
        axes.insert(0 if self._z_first else 4, "z_m")
        for axis in axes:
            stage = stage.model_copy(update={axis: getattr(target, axis)})
            self.visited.append(stage)
            self._set(stage=stage)
            if axis in ("x_m", "y_m") and not self.state.beam_blanked:
                self.wait(TICK_S / 2)

    def _pass_time(self, duration_s: float) -> None:
        """Dose the field, and end what ends meanwhile at its very moment."""
        now_s = self.clock.now_s
        end_s = now_s + duration_s
        ends = [at_s for at_s in (self._off_at_s, self._trip_at_s) if at_s is not None]
        on_s = max(0.0, min([end_s, *ends]) - now_s)
        if not self.state.beam_blanked:
            self._expose(on_s)
        scanned_s = min(duration_s, self._left_s)
        self._left_s -= scanned_s
        self.clock.now_s = end_s
        if ends and min(ends) <= end_s:
            tripped = self._trip_at_s is not None
            self._set(beam_blanked=True)
            self._off_at_s = self._trip_at_s = None
            if tripped:
                self._left_s = 0.0
        if self._left_s <= 0:
            self._set(scanning=False)

    def _expose(self, duration_s: float) -> None:
        width = self.state.optics.field_of_view_m
        assert width is not None
        height = width * (self._aspect if self.state.scanning else 1.0)
        electrons = (self.state.optics.beam_current_a or 0.0) * duration_s / ELEMENTARY_CHARGE_C
        stage = self.state.stage
        self.beam_on_s += duration_s
        entry = Dosed(
            stage.x_m - width / 2,
            stage.y_m - height / 2,
            width,
            height,
            electrons / (width * height) * 1e-20,
            self.state.session,
        )
        if self.log and replace(self.log[-1], dose_e_per_a2=0.0) == replace(entry, dose_e_per_a2=0.0):
            entry = replace(entry, dose_e_per_a2=self.log.pop().dose_e_per_a2 + entry.dose_e_per_a2)
        self.log.append(entry)

    def _set(self, **changes: Any) -> None:
        self.state = self.state.model_copy(update=changes)

    def _optics(self, **changes: Any) -> None:
        self._set(optics=self.state.optics.model_copy(update=changes))

    def worst_dose_e_per_a2(self) -> float:
        """Largest dose of any point: it is reached in the middle or a corner of some rectangle."""
        worst = 0.0
        for each in self.log:
            for across in (0.0, 0.5, 1.0):
                for up in (0.0, 0.5, 1.0):
                    x, y = each.left_m + across * each.width_m, each.bottom_m + up * each.height_m
                    worst = max(worst, sum(e.dose_e_per_a2 for e in self.log if e.covers(x, y)))
        return worst


def lit(clock: Clock, locks: Interlocks, state: InstrumentState, duration_s: float) -> InterlockTrip | None:
    """Leave the beam on and watch it; the first trip."""
    first = None
    for _ in range(round(duration_s / TICK_S)):
        clock.sleep(TICK_S)
        first = first or locks.observe(state)
    return first
