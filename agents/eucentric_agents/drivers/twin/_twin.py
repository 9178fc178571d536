"""The twin as an instrument: specimen, stage, column and detectors behind the vocabulary."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eucentric_core import Capabilities, CommandRefusedError, Frame
from eucentric_core.vocabulary import (
    CameraAcquire,
    Command,
    CommandResult,
    FrameReference,
    InstrumentState,
    MoveReport,
    ScanAcquire,
    ScanStream,
    SpectrumAcquire,
    StageGet,
    StageMove,
    StageMoveBy,
    StageStop,
    StageTilt,
    StateGet,
    StreamReport,
)

from .._commands import CommandTable
from .._scan_loop import ScanLoop
from .._scan_sessions import session_handlers
from .._sessions import SessionCounter
from ._column import Column
from ._column_verbs import ColumnVerbs
from ._detectors import Detectors
from ._exposure import Exposure
from ._faults import FaultSwitch
from ._hardware_log import HardwareLog
from ._lattice import Lattice
from ._limits import refuse_beyond, stage_limits
from ._options import TwinOptions
from ._stage import TwinStage
from ._terrain import Terrain

__all__ = ["DigitalTwin"]

_MAX_SIDE_PX = 4096
_M2_PER_A2 = 1e-20
_CAMERA = "ronchigram"
_SPECTROMETER = "eels"


class DigitalTwin:
    """A SIMULATED STEM; implements `eucentric_core.Instrument`.

    Each scan publishes `truth` (what is really in the field) and then `haadf`, with one sequence number;
    a camera frame or spectrum has a number of its own. What is in the field follows from the *actual* stage
    position, the beam shift and the specimen's drift; tilting foreshortens it by the cosine of the angle,
    about a eucentric point.

    Args:
        name: the instrument's name in every header.
        options: what to simulate.
        sink: receives the frames.
    """

    def __init__(self, name: str, options: TwinOptions, sink: Callable[[Frame], None]) -> None:
        specimen_rng, damage_rng, stage_rng, frame_rng, camera_rng, focus_rng = (
            np.random.default_rng(seed) for seed in np.random.SeedSequence(options.seed).spawn(6)
        )
        self._name = name
        self._options = options
        self._faults = FaultSwitch(options.faults)
        self._log = HardwareLog(options.journal)
        self._stage = TwinStage(options.stage, stage_rng, self._faults, self._log)
        self._limits = stage_limits(options.extent_m, options.stage.tilt_limit_rad)
        try:
            self._column = Column(options, self._log)
        except CommandRefusedError:
            self._log.close()
            raise
        specimen = (
            Terrain(options, specimen_rng)
            if options.is_landscape
            else Lattice(options, specimen_rng, damage_rng)
        )
        self._exposure = Exposure(specimen, self._stage, self._column)
        self._sessions = SessionCounter()
        self._loop = ScanLoop(self._take_frame)
        self._scan: ScanAcquire | ScanStream = ScanAcquire()
        self._detectors = Detectors(
            name,
            options,
            (self._exposure, self._column, self._stage),
            self._sessions,
            self._faults,
            self._log,
            sink,
            (frame_rng, camera_rng),
        )
        column_verbs = ColumnVerbs(
            options.column, self._column, self._exposure, self._stage, self._loop, focus_rng
        )
        self._commands = CommandTable(
            name,
            {
                **session_handlers(self._sessions, self._loop),
                **column_verbs.handlers,
                StateGet: self._state,
                StageGet: self._stage_get,
                StageMove: self._stage_move,
                StageMoveBy: self._stage_move_by,
                StageTilt: self._stage_tilt,
                StageStop: self._stage_stop,
                ScanAcquire: self._scan_acquire,
                ScanStream: self._scan_stream,
                CameraAcquire: self._camera_acquire,
                SpectrumAcquire: self._spectrum_acquire,
            },
        )

    @property
    def capabilities(self) -> Capabilities:
        """What the twin can do; only the notes change, with the faults that are on."""
        options = self._options
        faults = self._faults.current.labels
        return Capabilities(
            instrument=self._name,
            model=f"SIMULATED STEM over {options.material} (Eucentric digital twin)",
            simulated=True,
            verbs=self._commands.verbs,
            concurrent_verbs=("stage.get", "state.get"),
            streams=("haadf", "truth", _CAMERA, _SPECTROMETER),
            max_field_of_view_m=options.extent_m,
            max_stage_offset_m=options.extent_m / 2,
            stage_limits=self._limits,
            cameras=(_CAMERA,),
            spectrometers=(_SPECTROMETER,),
            notes=f"SIMULATED: computed frames (seed {options.seed}), published with their ground truth."
            + (f" SIMULATED FAULTS: {', '.join(faults)}." if faults else ""),
        )

    def execute(self, command: Command) -> CommandResult:
        """Carry out one command; see `Instrument.execute`."""
        self._faults.pass_command(command)
        if type(command).command_class != "observe":
            # Before anything changes, what the probe has done so far is put down to where it stands.
            self._exposure.rest(self._column.state, scanning=self._loop.scanning)
        return self._commands(command)

    def abort(self) -> None:
        """Take no further frame."""
        self._loop.abort()

    def safe_state(self) -> None:
        """Blank the beam, stop scanning, halt the stage."""
        before = self._column.state
        self._column.blank(True)
        self._loop.abort()
        self._stage.halt()
        self._exposure.rest(before, scanning=self._loop.scanning)

    def close(self) -> None:
        """Go to the safe state and wait for the last frame to leave."""
        self.safe_state()
        self._faults.close()
        self._loop.stop()
        self._log.close()

    def _state(self, _command: StateGet) -> InstrumentState:
        column = self._column.state
        self._exposure.rest(column, scanning=self._loop.scanning)
        session = self._sessions.current
        return InstrumentState(
            session=session.name if session else None,
            scanning=self._loop.scanning,
            beam_blanked=column.blanked,
            next_sequence=self._sessions.next_sequence,
            stage=self._stage.report().reported,
            optics=self._column.optics(column, self._scan.dwell_time_s),
            dose_e_per_a2=self._exposure.fluence_e_per_m2(column) * _M2_PER_A2,
            simulated=True,
            fault=self._loop.fault,
        )

    def _stage_get(self, _command: StageGet) -> MoveReport:
        return self._stage.report()

    def _stage_move(self, command: StageMove) -> MoveReport:
        return self._go((command.x_m, command.y_m, command.z_m))

    def _stage_move_by(self, command: StageMoveBy) -> MoveReport:
        return self._go(self._stage.target_m((command.dx_m, command.dy_m, command.dz_m), relative=True))

    def _go(self, target_m: tuple[float | None, ...]) -> MoveReport:
        x_m, y_m, z_m = target_m
        refuse_beyond(self._limits, x_m=x_m, y_m=y_m, z_m=z_m)
        self._stage.move(target_m)
        return self._stage.report()

    def _stage_tilt(self, command: StageTilt) -> MoveReport:
        refuse_beyond(self._limits, alpha_rad=command.alpha_rad, beta_rad=command.beta_rad)
        self._stage.tilt((command.alpha_rad, command.beta_rad))
        return self._stage.report()

    def _stage_stop(self, _command: StageStop) -> MoveReport:
        self._stage.halt()
        return self._stage.report()

    def _scan_acquire(self, command: ScanAcquire) -> FrameReference:
        self._prepare(command)
        return self._reference("haadf", self._loop.acquire())

    def _scan_stream(self, command: ScanStream) -> StreamReport:
        session = self._prepare(command)
        first = self._sessions.next_sequence
        self._loop.start(max_frames=command.max_frames, max_frames_per_s=command.max_frames_per_s)
        return StreamReport(session=session, first_sequence=first)

    def _camera_acquire(self, command: CameraAcquire) -> FrameReference:
        self._sessions.require()
        _refuse_unknown("camera", command.camera, _CAMERA)
        if command.binning not in (1, 2, 4, 8, 16):
            raise CommandRefusedError(
                f"The camera cannot bin by {command.binning}.",
                safe="nothing was exposed.",
                next_step="bin by 1, 2, 4, 8 or 16.",
            )
        return self._reference(_CAMERA, self._occupy(lambda: self._detectors.camera(command, self._loop)))

    def _spectrum_acquire(self, command: SpectrumAcquire) -> FrameReference:
        self._sessions.require()
        _refuse_unknown("spectrometer", command.spectrometer, _SPECTROMETER)
        return self._reference(
            _SPECTROMETER, self._occupy(lambda: self._detectors.spectrum(command, self._loop))
        )

    def _reference(self, stream: str, sequence: int) -> FrameReference:
        session = self._sessions.require().name
        return FrameReference(instrument=self._name, session=session, stream=stream, sequence=sequence)

    def _prepare(self, command: ScanAcquire | ScanStream) -> str:
        session = self._sessions.require()
        if max(command.height_px, command.width_px) > _MAX_SIDE_PX:
            raise CommandRefusedError(
                f"A frame of {command.height_px} x {command.width_px} pixels is too large for the twin.",
                safe="nothing was scanned.",
                next_step=f"scan at most {_MAX_SIDE_PX} pixels a side.",
            )
        if not self._loop.scanning:
            self._scan = command
        return session.name

    def _take_frame(self) -> int:
        try:
            return self._detectors.scan(self._scan, self._loop)
        finally:
            self._exposure.rest(self._column.state, scanning=True)

    def _occupy(self, expose: Callable[[], int]) -> int:
        try:
            return self._loop.occupy(expose)
        finally:
            self._exposure.rest(self._column.state, scanning=True)


def _refuse_unknown(kind: str, name: str, known: str) -> None:
    if name != known:
        raise CommandRefusedError(
            f"There is no {kind} named {name!r}.", safe="nothing was exposed.", next_step=f"use {known!r}."
        )
