"""Nion's simulator as an instrument."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from math import cos, sin

import numpy as np

from eucentric_core import Capabilities, CommandRefusedError, Frame, StageLimits
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamPark,
    BeamShift,
    BeamUnblank,
    CameraAcquire,
    Command,
    CommandResult,
    Done,
    FrameReference,
    InstrumentState,
    MoveReport,
    OpticsDefocus,
    OpticsFieldOfView,
    OpticsReport,
    OpticsScanRotation,
    OpticsStigmator,
    ScanAbort,
    ScanAcquire,
    ScanStream,
    SpectrumAcquire,
    StageGet,
    StageMove,
    StageMoveBy,
    StageStop,
    StateGet,
    StreamReport,
    VectorReport,
)

from .._commands import CommandTable
from .._scan_loop import ScanLoop
from .._scan_sessions import session_handlers
from .._sessions import SessionCounter
from ..vendor_api import ArrivalOptions, MovedStage, StagePart
from ._controls import Controls
from ._detectors import Detectors
from ._devices import CAMERAS, SPECTROMETERS
from ._frames import FrameFactory, ScanView, optics_of, position_of
from ._limits import Limits
from ._options import UsimOptions
from ._samples import StockScene, flake_of
from ._scan_source import ScanSource
from ._specimen import SpecimenScene
from ._stack import NionStack, nion_version, require_nion

__all__ = ["UsimInstrument"]

_STAGE_EXTENT_NM = 1000.0
_ARRIVAL = ArrivalOptions(tolerance_m=1e-12, settle_time_s=0.0)
_M2_PER_A2 = 1e-20
_CLOSING_S = 5.0


class UsimInstrument:
    """A SIMULATED Nion STEM; implements `eucentric_core.Instrument`. One at a time in a process.

    Nion's own scan device, cameras and controls are at work; behind the scan device lies the digital
    twin's specimen, whose `truth` is published before each `haadf` frame, or Nion's own sample.

    Args:
        name: the instrument's name in every header.
        options: what to simulate.
        sink: receives the frames.

    Raises:
        UnsupportedError: Nion's simulator is not installed.
        BusyError: this process has one open already.
    """

    def __init__(self, name: str, options: UsimOptions, sink: Callable[[Frame], None]) -> None:
        require_nion()
        self._name = name
        self._limits = Limits.of(options)
        self._limits.check_field(options.field_of_view_m)
        self._view = ScanView(options.field_of_view_m, 0.0)
        self._sessions = SessionCounter()
        self._loop = ScanLoop(self._take_frame)
        self._scan: ScanAcquire | ScanStream = ScanAcquire()
        self._specimen, source = _specimen(options)
        limits = StageLimits(
            x_m=(-self._limits.stage_m, self._limits.stage_m),
            y_m=(-self._limits.stage_m, self._limits.stage_m),
        )
        with ExitStack() as opening:
            self._stack = NionStack(source)
            # Its threads would keep a process alive that could not open the instrument.
            opening.callback(self._stack.close)
            self._controls = self._stack.controls
            _wake(self._controls, options)
            self._stage = _stage(self._controls, limits)
            opening.pop_all()
        material = options.material if self._specimen is not None else None
        frames = FrameFactory(name, material, self._sessions)
        self._detectors = Detectors(options, self._stack, source, self._specimen, frames, sink)
        self._commands = CommandTable(
            name,
            {
                **session_handlers(self._sessions, self._loop),
                StateGet: self._state,
                StageGet: lambda _: self._stage.report(),
                StageMove: self._stage_move,
                StageMoveBy: self._stage_move_by,
                StageStop: self._stage_stop,
                BeamBlank: self._beam_blank,
                BeamUnblank: self._beam_unblank,
                BeamShift: self._beam_shift,
                BeamPark: self._beam_park,
                OpticsDefocus: self._defocus,
                OpticsFieldOfView: self._field_of_view,
                OpticsStigmator: self._stigmator,
                OpticsScanRotation: self._scan_rotation,
                ScanAcquire: self._scan_acquire,
                ScanStream: self._scan_stream,
                ScanAbort: self._scan_abort,
                CameraAcquire: self._camera_acquire,
                SpectrumAcquire: self._spectrum_acquire,
            },
        )
        truth = ("truth",) if self._specimen is not None else ()
        self.capabilities = Capabilities(
            instrument=name,
            model=f"SIMULATED STEM over {material or 'flakes'} ({nion_version()})",
            simulated=True,
            verbs=self._commands.verbs,
            concurrent_verbs=("stage.get", "state.get"),
            streams=(*CAMERAS, "haadf", *truth),
            max_field_of_view_m=self._limits.field_m[1],
            max_stage_offset_m=self._limits.stage_m,
            stage_limits=limits,
            cameras=CAMERAS,
            spectrometers=SPECTROMETERS,
            notes=f"SIMULATED: computed frames (seed {options.seed}) read out by Nion's own scan device."
            + (" Published with their ground truth." if truth else ""),
        )

    def execute(self, command: Command) -> CommandResult:
        """Carry out one command; see `Instrument.execute`."""
        return self._commands(command)

    def abort(self) -> None:
        """End the scan or exposure that is under way, and take no further frame."""
        # In this order: an exposure that begins in between looks at the loop once it has begun.
        self._loop.abort()
        self._stack.cancel_exposure()

    def safe_state(self) -> None:
        """Blank the beam, stop scanning, halt the stage."""
        self._controls.blank(True)
        self.abort()
        self._stage.halted()

    def close(self) -> None:
        """Go to the safe state, wait for the last frame to leave, and end Nion's threads."""
        self.safe_state()
        try:
            self._loop.stop()
            deadline_s = time.monotonic() + _CLOSING_S
            while self._loop.scanning and time.monotonic() < deadline_s:
                time.sleep(0.01)
        finally:
            self._stack.close()

    def _state(self, _command: StateGet) -> InstrumentState:
        column, view = self._controls.settings(), self._view
        dose = None
        if self._specimen is not None:
            half = view.field_of_view_m / 2
            field = self._specimen.view(column, view.rotation_rad)
            dose = self._specimen.fluence_e_per_m2(field, (half, half)) * _M2_PER_A2
        session = self._sessions.current
        return InstrumentState(
            session=session.name if session else None,
            scanning=self._loop.scanning,
            beam_blanked=column.blanked,
            next_sequence=self._sessions.next_sequence,
            stage=position_of(column.stage_m),
            optics=optics_of(column, view, self._scan.dwell_time_s),
            dose_e_per_a2=dose,
            simulated=True,
            fault=self._loop.fault,
        )

    def _stage_move(self, command: StageMove) -> MoveReport:
        return self._stage.move(_given(x_m=command.x_m, y_m=command.y_m, z_m=command.z_m))

    def _stage_move_by(self, command: StageMoveBy) -> MoveReport:
        return self._stage.move_by(_given(x_m=command.dx_m, y_m=command.dy_m, z_m=command.dz_m))

    def _stage_stop(self, _command: StageStop) -> MoveReport:
        self._stage.halted()
        return self._stage.report()

    def _beam_blank(self, _command: BeamBlank) -> Done:
        self._controls.blank(True)
        return Done()

    def _beam_unblank(self, _command: BeamUnblank) -> Done:
        self._controls.blank(False)
        return Done()

    def _beam_shift(self, command: BeamShift) -> VectorReport:
        self._limits.check_shift(command.x_m, command.y_m)
        reported = self._controls.write_vector("CSH", command.x_m, command.y_m)
        return VectorReport(commanded=(command.x_m, command.y_m), reported=reported)

    def _beam_park(self, command: BeamPark) -> Done:
        shape = (self._scan.height_px, self._scan.width_px)
        self._loop.occupy(
            lambda: self._stack.park(
                (command.y_fraction, command.x_fraction),
                shape,
                pixel_size_m=self._view.field_of_view_m / shape[1],
                rotation_rad=self._view.rotation_rad,
            )
        )
        return Done()

    def _defocus(self, command: OpticsDefocus) -> OpticsReport:
        self._limits.check_defocus(command.defocus_m)
        reported = self._controls.write("C10", command.defocus_m)
        return OpticsReport(commanded=command.defocus_m, reported=reported)

    def _field_of_view(self, command: OpticsFieldOfView) -> OpticsReport:
        self._limits.check_field(command.field_of_view_m)
        self._view = ScanView(command.field_of_view_m, self._view.rotation_rad)
        return OpticsReport(commanded=command.field_of_view_m, reported=self._view.field_of_view_m)

    def _stigmator(self, command: OpticsStigmator) -> VectorReport:
        self._limits.check_stigmator(command.x_m, command.y_m)
        reported = self._controls.write_vector("C12", command.x_m, command.y_m)
        return VectorReport(commanded=(command.x_m, command.y_m), reported=reported)

    def _scan_rotation(self, command: OpticsScanRotation) -> OpticsReport:
        self._view = ScanView(self._view.field_of_view_m, command.rotation_rad)
        return OpticsReport(commanded=command.rotation_rad, reported=self._view.rotation_rad, unit="rad")

    def _scan_acquire(self, command: ScanAcquire) -> FrameReference:
        self._prepare(command)
        return self._reference("haadf", self._loop.acquire())

    def _scan_stream(self, command: ScanStream) -> StreamReport:
        session = self._prepare(command)
        first = self._sessions.next_sequence
        self._loop.start(max_frames=command.max_frames, max_frames_per_s=command.max_frames_per_s)
        return StreamReport(session=session, first_sequence=first)

    def _scan_abort(self, _command: ScanAbort) -> Done:
        self.abort()
        return Done()

    def _camera_acquire(self, command: CameraAcquire) -> FrameReference:
        self._sessions.require()
        _refuse_unknown("camera", command.camera, CAMERAS)
        binnings = self._stack.binnings(command.camera)
        if command.binning not in binnings:
            raise CommandRefusedError(
                f"The camera {command.camera} cannot bin by {command.binning}.",
                safe="nothing was exposed.",
                next_step=f"bin by one of {', '.join(map(str, binnings))}.",
            )
        sequence = self._loop.occupy(lambda: self._detectors.camera(command, self._view, self._loop))
        return self._reference(command.camera, sequence)

    def _spectrum_acquire(self, command: SpectrumAcquire) -> FrameReference:
        self._sessions.require()
        _refuse_unknown("spectrometer", command.spectrometer, SPECTROMETERS)
        sequence = self._loop.occupy(lambda: self._detectors.spectrum(command, self._view, self._loop))
        return self._reference(command.spectrometer, sequence)

    def _prepare(self, command: ScanAcquire | ScanStream) -> str:
        session = self._sessions.require()
        self._limits.check_frame(command.height_px, command.width_px, self._view.field_of_view_m)
        if not self._loop.scanning:
            self._scan = command
        return session.name

    def _reference(self, stream: str, sequence: int) -> FrameReference:
        session = self._sessions.require().name
        return FrameReference(instrument=self._name, session=session, stream=stream, sequence=sequence)

    def _take_frame(self) -> int:
        return self._detectors.scan(self._scan, self._view, self._loop)


def _specimen(options: UsimOptions) -> tuple[SpecimenScene | None, ScanSource]:
    if options.sample == "twin":
        specimen = SpecimenScene(options)
        flake = flake_of(options.material, options.extent_m)
        return specimen, ScanSource(specimen, stage_size_nm=_STAGE_EXTENT_NM, sample=flake)
    stock = StockScene(np.random.default_rng(options.seed))
    return None, ScanSource(stock, stage_size_nm=_STAGE_EXTENT_NM, sample=stock.sample)


def _wake(controls: Controls, options: UsimOptions) -> None:
    """Put the simulated column into the state that the options describe."""
    column = options.column
    controls.write("EHT", column.high_tension_v)
    controls.write("BeamCurrent", column.beam_current_a)
    controls.write("ConvergenceAngle", column.convergence_angle_rad)
    controls.write("C10", column.defocus_m)
    controls.write("C30", column.spherical_aberration_m)
    twofold = 2 * column.astigmatism_angle_rad
    controls.write_vector("C12", column.astigmatism_m * cos(twofold), column.astigmatism_m * sin(twofold))


def _stage(controls: Controls, limits: StageLimits) -> MovedStage[Controls]:
    def go(stage: Controls, target: Mapping[str, float], _given_up: Callable[[], bool]) -> None:
        x_m, y_m = stage.stage_m
        stage.move_stage(target.get("x_m", x_m), target.get("y_m", y_m))

    part: StagePart[Controls] = StagePart(
        read=lambda stage: position_of(stage.stage_m), go=go, moving=lambda _: False, limits=limits
    )
    return MovedStage(part, _ARRIVAL, lambda work, _limit_s: work(controls))


def _given(**axes: float | None) -> dict[str, float]:
    return {axis: value for axis, value in axes.items() if value is not None}


def _refuse_unknown(kind: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise CommandRefusedError(
            f"There is no {kind} named {name!r}.",
            safe="nothing was exposed.",
            next_step=f"use one of {', '.join(known)}.",
        )
