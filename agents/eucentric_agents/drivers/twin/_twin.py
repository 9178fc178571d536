"""The twin as an instrument: specimen, stage and column behind the vocabulary."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from eucentric_core import (
    Axis,
    Capabilities,
    CommandRefusedError,
    Frame,
    FrameHeader,
    utc_now,
)
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamUnblank,
    Command,
    CommandResult,
    Done,
    FrameReference,
    InstrumentState,
    MoveReport,
    OpticsDefocus,
    OpticsFieldOfView,
    OpticsReport,
    ScanAcquire,
    ScanStream,
    SimulationDrift,
    StageGet,
    StageMove,
    StageStop,
    StateGet,
    StreamReport,
)
from eucentric_models.image_formation import form_frame

from .._commands import CommandTable
from .._scan_loop import ScanLoop
from .._scan_sessions import session_handlers
from .._sessions import SessionCounter
from .._truth import truth_of
from ._column import Column
from ._options import TwinOptions
from ._specimen import Specimen
from ._stage import TwinStage

__all__ = ["DigitalTwin"]

_MAX_SIDE_PX = 4096
_MAX_HEIGHT_M = 4e-7
_M2_PER_A2 = 1e-20
_NOWHERE_M = (1.0, 1.0)
"""A place far from any specimen: what the detector sees of it is a dark frame."""


class DigitalTwin:
    """A SIMULATED STEM; implements `eucentric_core.Instrument`.

    Each acquisition publishes `truth` (what is really in the field) and then `haadf`, with one sequence
    number. What is in the field follows from the *actual* stage position and the specimen's drift.

    Args:
        name: the instrument's name in every header.
        options: what to simulate.
        sink: receives the frames.
    """

    def __init__(self, name: str, options: TwinOptions, sink: Callable[[Frame], None]) -> None:
        crystal_rng, damage_rng, stage_rng, self._frame_rng = (
            np.random.default_rng(seed) for seed in np.random.SeedSequence(options.seed).spawn(4)
        )
        self._name = name
        self._options = options
        self._sink = sink
        self._lock = threading.Lock()
        self._specimen = Specimen(options.material, options.specimen, crystal_rng, damage_rng)
        self._stage = TwinStage(options.stage, stage_rng)
        self._column = Column(options.column, options.detector, max_field_of_view_m=options.specimen.extent_m)
        self._sessions = SessionCounter()
        self._loop = ScanLoop(self._take_frame)
        self._scan: ScanAcquire | ScanStream = ScanAcquire()
        self._commands = CommandTable(
            name,
            {
                **session_handlers(self._sessions, self._loop),
                StateGet: self._state,
                StageGet: self._stage_get,
                StageMove: self._stage_move,
                StageStop: self._stage_stop,
                BeamBlank: self._beam_blank,
                BeamUnblank: self._beam_unblank,
                OpticsDefocus: self._defocus,
                OpticsFieldOfView: self._field_of_view,
                ScanAcquire: self._scan_acquire,
                ScanStream: self._scan_stream,
                SimulationDrift: self._drift,
            },
        )
        self.capabilities = Capabilities(
            instrument=name,
            model=f"SIMULATED STEM over {options.material} (Eucentric digital twin)",
            simulated=True,
            verbs=self._commands.verbs,
            concurrent_verbs=("stage.get", "state.get"),
            streams=("haadf", "truth"),
            max_field_of_view_m=options.specimen.extent_m,
            max_stage_offset_m=options.specimen.extent_m / 2,
            notes=f"SIMULATED: computed frames (seed {options.seed}), published with their ground truth.",
        )

    def execute(self, command: Command) -> CommandResult:
        """Carry out one command; see `Instrument.execute`."""
        return self._commands(command)

    def abort(self) -> None:
        """Take no further frame."""
        self._loop.abort()

    def safe_state(self) -> None:
        """Blank the beam, stop scanning, halt the stage."""
        self._column.blank(True)
        self._loop.abort()
        self._stage.halt()

    def close(self) -> None:
        """Go to the safe state and wait for the last frame to leave."""
        self.safe_state()
        self._loop.stop()

    def _state(self, _command: StateGet) -> InstrumentState:
        column = self._column.state
        half = column.field_of_view_m / 2
        with self._lock:
            fluence = self._specimen.fluence_e_per_m2(self._centre_m(), (half, half))
        session = self._sessions.current
        return InstrumentState(
            session=session.name if session else None,
            scanning=self._loop.scanning,
            beam_blanked=column.blanked,
            next_sequence=self._sessions.next_sequence,
            stage=self._stage.report().reported,
            optics=self._column.optics(column, self._scan.dwell_time_s),
            dose_e_per_a2=fluence * _M2_PER_A2,
            simulated=True,
            fault=self._loop.fault,
        )

    def _stage_get(self, _command: StageGet) -> MoveReport:
        return self._stage.report()

    def _stage_move(self, command: StageMove) -> MoveReport:
        limit = self._options.specimen.extent_m / 2
        for axis, value, bound in (
            ("x", command.x_m, limit),
            ("y", command.y_m, limit),
            ("z", command.z_m, _MAX_HEIGHT_M),
        ):
            if value is not None and abs(value) > bound:
                raise CommandRefusedError(
                    f"{axis} = {value:.3e} m is outside the stage's range of {bound:.3e} m.",
                    safe="the stage did not move.",
                    next_step="stay within the range (see the capabilities).",
                )
        self._stage.move((command.x_m, command.y_m, command.z_m))
        return self._stage.report()

    def _stage_stop(self, _command: StageStop) -> MoveReport:
        self._stage.halt()
        return self._stage.report()

    def _beam_blank(self, _command: BeamBlank) -> Done:
        self._column.blank(True)
        return Done()

    def _beam_unblank(self, _command: BeamUnblank) -> Done:
        self._column.blank(False)
        return Done()

    def _defocus(self, command: OpticsDefocus) -> OpticsReport:
        self._column.set_defocus(command.defocus_m)
        return OpticsReport(commanded=command.defocus_m, reported=self._column.state.defocus_m)

    def _field_of_view(self, command: OpticsFieldOfView) -> OpticsReport:
        self._column.set_field_of_view(command.field_of_view_m)
        return OpticsReport(commanded=command.field_of_view_m, reported=self._column.state.field_of_view_m)

    def _drift(self, command: SimulationDrift) -> Done:
        self._column.drift(command)
        return Done()

    def _scan_acquire(self, command: ScanAcquire) -> FrameReference:
        self._prepare(command)
        sequence = self._loop.acquire()
        return FrameReference(
            instrument=self._name, session=self._sessions.require().name, stream="haadf", sequence=sequence
        )

    def _scan_stream(self, command: ScanStream) -> StreamReport:
        session = self._prepare(command)
        first = self._sessions.next_sequence
        self._loop.start(max_frames=command.max_frames, max_frames_per_s=command.max_frames_per_s)
        return StreamReport(session=session, first_sequence=first)

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

    def _centre_m(self) -> tuple[float, float]:
        """Place on the crystal, (y, x), that lies in the middle of the field."""
        x, y, _z = self._stage.actual_m
        drift_y, drift_x = self._specimen.drift_m
        return y + drift_y, x + drift_x

    def _take_frame(self) -> int:
        scan = self._scan
        shape = (scan.height_px, scan.width_px)
        began_s, began_utc = time.monotonic(), utc_now()
        frame_time_s = scan.dwell_time_s * shape[0] * shape[1]
        stage = self._stage.report()
        with self._lock:
            column = self._column.step()
            centre = self._centre_m()
            crystal = self._specimen.crystal
            self._specimen.wait(frame_time_s)
        z_m = stage.actual.z_m if stage.actual is not None else 0.0
        conditions = self._column.conditions(
            column, width_px=scan.width_px, dwell_time_s=scan.dwell_time_s, z_m=z_m
        )
        if column.blanked:
            centre = _NOWHERE_M
            conditions = conditions.model_copy(update={"background_fraction": 0.0})
        image, truth = form_frame(crystal, conditions, shape, self._frame_rng, centre_m=centre)
        fluence = 0.0 if column.blanked else conditions.dose_electrons_per_m2
        if fluence > 0:
            half = tuple(side * conditions.pixel_size_m / 2 for side in shape)
            with self._lock:
                self._specimen.expose(centre, (half[0], half[1]), fluence)
        if self._options.real_time:
            self._loop.pause(began_s + frame_time_s - time.monotonic())

        session = self._sessions.require()
        pixel = conditions.pixel_size_m
        base = FrameHeader(
            instrument=self._name,
            session=session.name,
            stream="haadf",
            sequence=self._sessions.take(),
            acquired_utc=began_utc,
            acquired_monotonic_s=began_s,
            shape=image.shape,
            dtype=image.dtype.name,
            simulated=True,
            axes=(Axis(name="y", unit="m", scale=pixel), Axis(name="x", unit="m", scale=pixel)),
            optics=self._column.optics(column, scan.dwell_time_s),
            stage=stage.reported,
            dose_e_per_a2=fluence * _M2_PER_A2,
            sample=session.sample,
            material=session.material or self._options.material,
        )
        self._sink(truth_of(base, truth, crystal.classes))
        self._sink(Frame(base, image))
        return base.sequence
