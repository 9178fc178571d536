"""Recorded frames behind the vocabulary of an instrument."""

from __future__ import annotations

import time
from collections.abc import Callable

from eucentric_core import (
    Axis,
    Capabilities,
    CommandRefusedError,
    Frame,
    FrameHeader,
    Optics,
    StagePosition,
    utc_now,
)
from eucentric_core.vocabulary import (
    Command,
    CommandResult,
    FrameReference,
    InstrumentState,
    ScanAcquire,
    ScanStream,
    StateGet,
    StreamReport,
)

from .._commands import CommandTable
from .._scan_loop import ScanLoop
from .._scan_sessions import session_handlers
from .._sessions import SessionCounter
from .._truth import truth_of
from ._options import ReplayOptions
from ._source import FrameSource, RecordedFrame

__all__ = ["ReplayInstrument"]


class ReplayInstrument:
    """Plays a recording back; implements `eucentric_core.Instrument`.

    A scan gives the recording's next frame in its own size and dtype, whatever size and dwell time the
    command asks for; a labelled frame is preceded by its labels (`truth`). Each session begins with the
    first frame. There is no beam, stage or lens to move.

    Args:
        name: the instrument's name in every header.
        options: what to play.
        sink: receives the frames.

    Raises:
        ConfigurationError: no such path.
        UnknownPixelSizeError: neither a file nor the options give a pixel size.
        DataFormatError: a file, or the labels beside it, cannot be replayed.
    """

    def __init__(self, name: str, options: ReplayOptions, sink: Callable[[Frame], None]) -> None:
        self._name = name
        self._sink = sink
        self._repeat = options.repeat
        self._source = FrameSource(options)
        self._optics = _optics(self._source[0])
        self._sessions = SessionCounter()
        self._loop = ScanLoop(self._take_frame)
        self._commands = CommandTable(
            name,
            {
                **session_handlers(self._sessions, self._loop),
                StateGet: self._state,
                ScanAcquire: self._scan_acquire,
                ScanStream: self._scan_stream,
            },
        )
        self.capabilities = Capabilities(
            instrument=name,
            model=f"replay of {options.path.name}",
            simulated=self._source.simulated,
            verbs=self._commands.verbs,
            concurrent_verbs=("state.get",),
            streams=("haadf", "truth") if self._source.labelled else ("haadf",),
            notes=f"{len(self._source)} recorded frames in their own size and dtype"
            + (", repeated." if options.repeat else "."),
        )

    def execute(self, command: Command) -> CommandResult:
        """Carry out one command; see `Instrument.execute`."""
        return self._commands(command)

    def abort(self) -> None:
        """Play no further frame."""
        self._loop.abort()

    def safe_state(self) -> None:
        """Play no further frame; there is no beam and no stage."""
        self._loop.abort()

    def close(self) -> None:
        """Stop and wait for the last frame to leave."""
        self._loop.stop()

    def _state(self, _command: StateGet) -> InstrumentState:
        session = self._sessions.current
        return InstrumentState(
            session=session.name if session else None,
            scanning=self._loop.scanning,
            beam_blanked=True,
            next_sequence=self._sessions.next_sequence,
            stage=StagePosition(),
            optics=self._optics,
            dose_e_per_a2=None,
            simulated=self.capabilities.simulated,
            fault=self._loop.fault,
        )

    def _scan_acquire(self, _command: ScanAcquire) -> FrameReference:
        session = self._sessions.require()
        self._require_left()
        return FrameReference(
            instrument=self._name, session=session.name, stream="haadf", sequence=self._loop.acquire()
        )

    def _scan_stream(self, command: ScanStream) -> StreamReport:
        session = self._sessions.require()
        left = self._require_left()
        first = self._sessions.next_sequence
        wanted = command.max_frames if left is None else min(left, command.max_frames or left)
        self._loop.start(max_frames=wanted, max_frames_per_s=command.max_frames_per_s)
        return StreamReport(session=session.name, first_sequence=first)

    def _require_left(self) -> int | None:
        if self._repeat:
            return None
        left = len(self._source) - self._sessions.next_sequence
        if left <= 0:
            raise CommandRefusedError(
                f"All {len(self._source)} frames of the recording have been played.",
                safe="nothing was played twice.",
                next_step="open a new session to begin again, or set agent.driver.repeat.",
            )
        return left

    def _take_frame(self) -> int:
        session = self._sessions.require()
        frame = self._source[self._sessions.next_sequence % len(self._source)]
        self._optics = _optics(frame)
        calibration = frame.calibration
        header = FrameHeader(
            instrument=self._name,
            session=session.name,
            stream="haadf",
            sequence=self._sessions.take(),
            acquired_utc=utc_now(),
            acquired_monotonic_s=time.monotonic(),
            shape=frame.array.shape,
            dtype=frame.array.dtype.name,
            simulated=frame.simulated,
            axes=(
                Axis(name="y", unit="m", scale=calibration.y_scale_m, offset=calibration.y_offset_m),
                Axis(name="x", unit="m", scale=calibration.x_scale_m, offset=calibration.x_offset_m),
            ),
            optics=self._optics,
            stage=StagePosition(),
            dose_e_per_a2=None,
            sample=session.sample,
            material=session.material,
        )
        if frame.labels is not None:
            self._sink(truth_of(header, frame.labels.rows, frame.labels.classes))
        self._sink(Frame(header, frame.array))
        return header.sequence


def _optics(frame: RecordedFrame) -> Optics:
    unknown: dict[str, float | None] = dict.fromkeys(
        ("high_tension_v", "beam_current_a", "convergence_angle_rad", "defocus_m", "dwell_time_s")
    )
    field_of_view_m = frame.calibration.x_scale_m * frame.array.shape[1]
    return Optics.model_validate({**unknown, **frame.optics, "field_of_view_m": field_of_view_m})
