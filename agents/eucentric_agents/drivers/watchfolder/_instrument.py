"""The finished files of a folder behind the vocabulary of an instrument."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from eucentric_core import (
    Axis,
    Capabilities,
    ConfigurationError,
    Frame,
    FrameHeader,
    Optics,
    StagePosition,
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
from .._errors import ScanAbortedError
from .._scan_loop import ScanLoop
from .._scan_sessions import session_handlers
from .._sessions import SessionCounter
from .._truth import truth_of
from ..replay import is_recording
from ._errors import NoFileError
from ._intake import Intake, NewImage
from ._ledger import Ledger
from ._options import WatchfolderOptions
from ._watch import FolderWatch, matches

__all__ = ["WatchfolderInstrument"]

_UNKNOWN = dict.fromkeys(
    ("high_tension_v", "beam_current_a", "convergence_angle_rad", "defocus_m", "dwell_time_s")
)
_NO_OPTICS = Optics.model_validate({**_UNKNOWN, "field_of_view_m": None})
"""Before the first file."""


class WatchfolderInstrument:
    """Picks up what a microscope without an interface writes; implements `eucentric_core.Instrument`.

    A scan gives the next finished file's next image in its own size and dtype, whatever size and dwell time
    the command asks for. Each image is given once, across restarts; after a crash in the moment of handing
    over, that one image may come again. The files are never changed. There is no beam, stage or lens.

    Args:
        name: the instrument's name in every header.
        options: what to watch.
        sink: receives the frames.

    Raises:
        ConfigurationError: there is no such folder, or the ledger cannot be opened.
    """

    def __init__(self, name: str, options: WatchfolderOptions, sink: Callable[[Frame], None]) -> None:
        folder = options.path.expanduser()
        if not folder.is_dir():
            raise ConfigurationError(
                f"There is no folder {folder}.",
                safe="nothing was watched.",
                next_step="check agent.driver.path.",
            )
        self._name = name
        self._options = options
        self._sink = sink
        self._ledger = Ledger(options.ledger.expanduser())
        watch = FolderWatch(
            folder, wanted=self._wanted, recursive=options.recursive, settle_s=options.settle_s
        )
        self._intake = Intake(watch, self._ledger, options)
        # What lies there already begins to settle now.
        self._intake.look()
        self._optics = _NO_OPTICS
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
            model=f"watched folder {folder.name}",
            simulated=False,
            verbs=self._commands.verbs,
            concurrent_verbs=("state.get",),
            streams=("haadf", "truth") if options.labelled else ("haadf",),
            notes="Files in their own size and dtype, in the order of their completion.",
        )

    def execute(self, command: Command) -> CommandResult:
        """Carry out one command; see `Instrument.execute`."""
        return self._commands(command)

    def abort(self) -> None:
        """Wait for no further file."""
        self._loop.abort()

    def safe_state(self) -> None:
        """Wait for no further file; there is no beam and no stage."""
        self._loop.abort()

    def close(self) -> None:
        """Stop, wait for the last frame to leave, and close the ledger."""
        self._loop.stop()
        self._ledger.close()

    def _wanted(self, path: Path) -> bool:
        patterns = self._options.patterns
        return matches(path, patterns) if patterns else is_recording(path)

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
            simulated=False,
            fault=self._loop.fault or self._intake.fault,
        )

    def _scan_acquire(self, _command: ScanAcquire) -> FrameReference:
        session = self._sessions.require().name
        sequence = self._loop.occupy(lambda: self._publish(self._wait_for_image(self._options.wait_s)))
        return FrameReference(instrument=self._name, session=session, stream="haadf", sequence=sequence)

    def _scan_stream(self, command: ScanStream) -> StreamReport:
        session = self._sessions.require()
        first = self._sessions.next_sequence
        self._loop.start(max_frames=command.max_frames, max_frames_per_s=command.max_frames_per_s)
        return StreamReport(session=session.name, first_sequence=first)

    def _take_frame(self) -> int:
        return self._publish(self._wait_for_image(None))

    def _publish(self, image: NewImage) -> int:
        session = self._sessions.require()
        series, calibration = image.source.series, image.source.calibration
        self._optics = Optics.model_validate(
            {
                **_UNKNOWN,
                **series.optics,
                "field_of_view_m": calibration.x_scale_m * image.array.shape[1],
            }
        )
        header = FrameHeader(
            instrument=self._name,
            session=session.name,
            stream="haadf",
            sequence=self._sessions.next_sequence,
            # When the microscope finished the file, which is the nearest thing that every format has.
            acquired_utc=datetime.fromtimestamp(image.source.file.mtime_ns / 1e9, UTC),
            acquired_monotonic_s=time.monotonic(),
            shape=image.array.shape,
            dtype=image.array.dtype.name,
            simulated=series.simulated,
            axes=(
                Axis(name="y", unit="m", scale=calibration.y_scale_m, offset=calibration.y_offset_m),
                Axis(name="x", unit="m", scale=calibration.x_scale_m, offset=calibration.x_offset_m),
            ),
            optics=self._optics,
            stage=StagePosition.model_validate(series.stage),
            dose_e_per_a2=None,
            sample=session.sample,
            material=session.material,
        )
        self._sessions.take()
        if self._options.labelled and image.labels is not None:
            self._sink(truth_of(header, image.labels.rows, image.labels.classes))
        self._sink(Frame(header, image.array))
        self._intake.taken(image)
        return header.sequence

    def _wait_for_image(self, limit_s: float | None) -> NewImage:
        began_s = time.monotonic()
        while (image := self._intake.look()) is None:
            if self._loop.pause(self._options.poll_s):
                raise ScanAbortedError(
                    "The wait for the next file was aborted.",
                    safe="a file that is completed later is taken by the next scan.",
                    next_step="scan again when more is wanted.",
                )
            if limit_s is not None and time.monotonic() - began_s > limit_s:
                raise NoFileError(
                    f"No finished file appeared within {limit_s:g} s.",
                    safe="a file that is completed later is taken by the next scan.",
                    next_step="start the acquisition at the microscope, or scan.stream to wait for longer.",
                )
        return image
