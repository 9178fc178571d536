"""A vendor's microscope as an instrument: one thread per connection, verified moves, calibrated frames."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from eucentric_core import Capabilities, EucentricError, Frame, Optics, StageLimits, StagePosition
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamUnblank,
    Command,
    CommandResult,
    Done,
    InstrumentState,
    MoveReport,
    StageGet,
    StageMove,
    StageMoveBy,
    StageStop,
    StageTilt,
    StateGet,
)

from .._commands import CommandTable, Handler
from .._scan_sessions import session_handlers
from ._beam import Blanker
from ._imaging import Imaging
from ._lane import Lane, Wire
from ._optics import optics_handlers
from ._options import VendorOptions
from ._parts import StagePart, VendorScope
from ._stage import MovedStage

__all__ = ["URGENT_LIMIT_S", "VendorInstrument"]

S = TypeVar("S")
_T = TypeVar("_T")

URGENT_LIMIT_S = 0.9
"""An urgent command must return within a second."""

_CLOSE_LIMIT_S = 2.0

_log = logging.getLogger(__name__)


class VendorInstrument(Generic[S]):
    """Implements `eucentric_core.Instrument` over a `VendorScope`.

    Three lanes talk to the vendor, each a thread with a connection of its own: commands, scans and cameras,
    and what is urgent. Opening blanks the beam through the urgent lane and moves nothing.

    Args:
        name: the instrument's name in every header.
        options: what all vendors' drivers share.
        wire: how to reach the vendor, for commands and scans.
        urgent_wire: how to reach it for what is urgent.
        describe: finds out what the microscope has.
        sink: receives the frames.
        release: what else is done at the end.

    Raises:
        EucentricError: the vendor's interface does not answer, or the beam cannot be blanked.
    """

    def __init__(
        self,
        name: str,
        options: VendorOptions,
        *,
        wire: Wire[S],
        urgent_wire: Wire[S],
        describe: Callable[[S], VendorScope[S]],
        sink: Callable[[Frame], None],
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self._options = options
        self._release = release
        self._closed = False
        self._commands_lane = Lane("command", wire)
        self._scan_lane = Lane("scan", wire)
        self._urgent_lane = Lane("urgent", urgent_wire)
        try:
            self._scope = self._call(describe)
            for lane in (self._urgent_lane, self._scan_lane):
                # Connecting may take longer than an urgent call is given.
                lane.call(_nothing, limit_s=options.call_timeout_s)
            self._blanker = Blanker(self._scope.beam, call=self._call, urgent=self._urgently)
            self._blanker.blank()
            part = self._scope.stage
            self._stage = None if part is None else MovedStage(part, options.arrival, self._call)
            self._imaging = Imaging(
                name,
                self._scope,
                lane=self._scan_lane,
                blanker=self._blanker,
                surroundings=lambda scope: (self._optics(scope), self._where(scope)),
                overhead_s=options.call_timeout_s,
                sink=sink,
            )
            self._commands = CommandTable(name, self._handlers())
            self.capabilities = self._capabilities(name)
        except BaseException:
            self._close_lanes()
            raise

    def execute(self, command: Command) -> CommandResult:
        """Carry out one command; see `Instrument.execute`."""
        return self._commands(command)

    def abort(self) -> None:
        """Take no further frame; a frame that the vendor is acquiring is finished first."""
        self._imaging.loop.abort()

    def safe_state(self) -> None:
        """Blank the beam, take no further frame, halt the stage where it can be halted.

        Raises:
            EucentricError: one of them failed; the others were done all the same.
        """
        self._imaging.loop.abort()
        first: EucentricError | None = None
        for step in (self._blanker.blank, self._halt, self._calm):
            try:
                step()
            except EucentricError as error:
                _log.error("safe state: %s", error)
                first = first or error
        if first is not None:
            raise first

    def close(self) -> None:
        """Go to the safe state and release the vendor's interface, whether or not it still answers."""
        if self._closed:
            return
        self._closed = True
        try:
            self.safe_state()
        except EucentricError as error:
            _log.error("closed without knowing that the instrument is safe: %s", error)
        try:
            self._imaging.loop.stop()
        finally:
            self._close_lanes()

    def _close_lanes(self) -> None:
        for lane in (self._scan_lane, self._commands_lane, self._urgent_lane):
            lane.close(limit_s=_CLOSE_LIMIT_S)
        self._release()

    def _call(self, work: Callable[[S], _T], limit_s: float | None = None) -> _T:
        return self._commands_lane.call(work, limit_s=limit_s or self._options.call_timeout_s)

    def _urgently(self, work: Callable[[S], _T]) -> _T:
        return self._urgent_lane.call(work, limit_s=URGENT_LIMIT_S)

    def _handlers(self) -> dict[type[Command], Handler]:
        handlers: dict[type[Command], Handler] = {
            **session_handlers(self._imaging.sessions, self._imaging.loop),
            **self._imaging.handlers(),
            **optics_handlers(self._scope, self._call),
            StateGet: self._state,
            BeamBlank: self._beam_blank,
            BeamUnblank: self._beam_unblank,
        }
        if self._stage is not None and self._scope.stage is not None:
            handlers |= self._stage_handlers(self._stage, self._scope.stage)
        return handlers

    def _stage_handlers(self, stage: MovedStage[S], part: StagePart[S]) -> dict[type[Command], Handler]:
        handlers: dict[type[Command], Handler] = {StageGet: lambda _command: stage.report()}
        limits = part.limits
        if any((limits.x_m, limits.y_m, limits.z_m)):
            handlers[StageMove] = lambda command: stage.move(_axes(command))
            handlers[StageMoveBy] = lambda command: stage.move_by(
                {axis.removeprefix("d"): by for axis, by in _axes(command).items()}
            )
        if any((limits.alpha_rad, limits.beta_rad)):
            handlers[StageTilt] = lambda command: stage.move(_axes(command))
        if part.halt is not None:
            handlers[StageStop] = self._stage_stop
        return handlers

    def _capabilities(self, name: str) -> Capabilities:
        scope = self._scope
        return Capabilities(
            instrument=name,
            model=f"{scope.model} (untested on hardware)" if scope.untested else scope.model,
            simulated=scope.simulated,
            verbs=self._commands.verbs,
            streams=self._imaging.streams,
            stage_limits=StageLimits() if scope.stage is None else scope.stage.limits,
            cameras=tuple(camera.name for camera in scope.cameras),
            untested_on_hardware=scope.untested,
            notes=scope.notes,
        )

    def _state(self, _command: StateGet) -> InstrumentState:
        imaging = self._imaging
        blanked, stage, optics = self._call(
            lambda scope: (self._scope.beam.blanked(scope), self._where(scope), self._optics(scope))
        )
        session = imaging.sessions.current
        return InstrumentState(
            session=session.name if session else None,
            scanning=imaging.loop.scanning,
            beam_blanked=blanked,
            next_sequence=imaging.sessions.next_sequence,
            stage=stage,
            optics=optics,
            dose_e_per_a2=None,
            simulated=self._scope.simulated,
            fault=imaging.loop.fault,
        )

    def _optics(self, scope: S) -> Optics:
        chosen = {"dwell_time_s": self._imaging.dwell_time_s, "beam_current_a": self._options.beam_current_a}
        return self._scope.optics(scope).model_copy(update=chosen)

    def _where(self, scope: S) -> StagePosition:
        return StagePosition() if self._scope.stage is None else self._scope.stage.read(scope)

    def _stage_stop(self, _command: StageStop) -> MoveReport:
        self._halt()
        where = self._urgently(self._where)
        arrival = self._options.arrival
        return MoveReport(
            commanded=where,
            reported=where,
            actual=None,
            tolerance_m=arrival.tolerance_m,
            settle_time_s=arrival.settle_time_s,
        )

    def _halt(self) -> None:
        part = self._scope.stage
        if self._stage is not None and part is not None and part.halt is not None:
            self._stage.halted()
            self._urgently(part.halt)

    def _calm(self) -> None:
        if self._scope.calm is not None:
            self._urgently(self._scope.calm)

    def _beam_blank(self, _command: BeamBlank) -> Done:
        self._blanker.blank()
        return Done()

    def _beam_unblank(self, _command: BeamUnblank) -> Done:
        self._blanker.unblank()
        return Done()


def _axes(command: Command) -> dict[str, float]:
    return command.model_dump(exclude={"verb"}, exclude_none=True)


def _nothing(_scope: object) -> None:
    """Connects a lane."""
