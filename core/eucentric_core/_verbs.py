"""A method for each verb, so that an instrument is steered by names that an editor completes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from ._errors import CommandRefusedError
from ._units import explain_problem
from .vocabulary import (
    AutoFocus,
    BeamBlank,
    BeamPark,
    BeamShift,
    BeamUnblank,
    CameraAcquire,
    ColumnValve,
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
    SessionStart,
    SessionStop,
    SpectrumAcquire,
    StageGet,
    StageMove,
    StageMoveBy,
    StageStop,
    StageTilt,
    StateGet,
    StreamReport,
    VectorReport,
)

__all__ = ["InstrumentVerbs"]

_Result = TypeVar("_Result", bound=CommandResult)


class InstrumentVerbs(ABC):
    """Typed verbs on top of `execute`, shared by drivers' procedures and the steering client.

    A procedure written against these methods runs beside the instrument and from far away unchanged.
    """

    @abstractmethod
    def execute(self, command: Command) -> CommandResult:
        """Carry out one command; see `Instrument.execute`."""

    def _do(self, answer: type[_Result], kind: type[Command], **fields: Any) -> _Result:
        # What a person passes to a verb is refused in one sentence, not as a report on a model.
        try:
            command = kind(**fields)
        except ValidationError as error:
            raise CommandRefusedError(
                f"{kind.model_fields['verb'].default}: {explain_problem(error.errors()[0])}.",
                safe="nothing was sent.",
                next_step="correct the value: metres, radians, seconds and amperes throughout.",
            ) from error
        return cast(_Result, self.execute(command))

    def state(self) -> InstrumentState:
        """The instrument as it stands."""
        return self._do(InstrumentState, StateGet)

    def start_session(self, session: str, *, sample: str | None = None, material: str | None = None) -> None:
        """Open a session; frames are recorded under its name."""
        self._do(Done, SessionStart, session=session, sample=sample, material=material)

    def stop_session(self) -> None:
        """Close the session and its data set."""
        self._do(Done, SessionStop)

    def stage(self) -> MoveReport:
        """Read the stage."""
        return self._do(MoveReport, StageGet)

    def move_stage(
        self, *, x_m: float | None = None, y_m: float | None = None, z_m: float | None = None
    ) -> MoveReport:
        """Move the stage to an absolute position (m)."""
        return self._do(MoveReport, StageMove, x_m=x_m, y_m=y_m, z_m=z_m)

    def move_stage_by(
        self, *, dx_m: float | None = None, dy_m: float | None = None, dz_m: float | None = None
    ) -> MoveReport:
        """Move the stage by a distance (m) from the last commanded position."""
        return self._do(MoveReport, StageMoveBy, dx_m=dx_m, dy_m=dy_m, dz_m=dz_m)

    def tilt_stage(self, *, alpha_rad: float | None = None, beta_rad: float | None = None) -> MoveReport:
        """Tilt the stage to absolute angles (rad)."""
        return self._do(MoveReport, StageTilt, alpha_rad=alpha_rad, beta_rad=beta_rad)

    def stop_stage(self) -> MoveReport:
        """Halt the stage where it is."""
        return self._do(MoveReport, StageStop)

    def park_beam(self, *, y_fraction: float, x_fraction: float) -> None:
        """Park the probe at a place of the field of view, as fractions from the top left corner."""
        self._do(Done, BeamPark, y_fraction=y_fraction, x_fraction=x_fraction)

    def shift_beam(self, *, x_m: float, y_m: float) -> VectorReport:
        """Shift the beam to an absolute (x, y) from the optical axis (m)."""
        return self._do(VectorReport, BeamShift, x_m=x_m, y_m=y_m)

    def set_stigmator(self, *, x_m: float, y_m: float) -> VectorReport:
        """Set the two-fold astigmatism (m)."""
        return self._do(VectorReport, OpticsStigmator, x_m=x_m, y_m=y_m)

    def set_scan_rotation(self, rotation_rad: float) -> OpticsReport:
        """Turn the scan (rad)."""
        return self._do(OpticsReport, OpticsScanRotation, rotation_rad=rotation_rad)

    def auto_focus(self) -> OpticsReport:
        """Run the instrument's own automatic focus."""
        return self._do(OpticsReport, AutoFocus)

    def set_column_valve(self, *, open: bool) -> None:
        """Open or close the column valve; hazardous, needs an operator."""
        self._do(Done, ColumnValve, open=open)

    def acquire_scan(
        self, *, height_px: int = 512, width_px: int = 512, dwell_time_s: float = 1e-6
    ) -> FrameReference:
        """Scan one frame; the array leaves over the data channel."""
        return self._do(
            FrameReference, ScanAcquire, height_px=height_px, width_px=width_px, dwell_time_s=dwell_time_s
        )

    def acquire_camera(self, camera: str, *, exposure_s: float, binning: int = 1) -> FrameReference:
        """Take one camera frame; the array leaves over the data channel."""
        return self._do(FrameReference, CameraAcquire, camera=camera, exposure_s=exposure_s, binning=binning)

    def acquire_spectrum(self, spectrometer: str, *, exposure_s: float) -> FrameReference:
        """Take one spectrum at the parked probe; the array leaves over the data channel."""
        return self._do(FrameReference, SpectrumAcquire, spectrometer=spectrometer, exposure_s=exposure_s)

    def blank(self) -> None:
        """Blank the beam."""
        self._do(Done, BeamBlank)

    def unblank(self, *, max_duration_s: float) -> None:
        """Unblank the beam for at most `max_duration_s`."""
        self._do(Done, BeamUnblank, max_duration_s=max_duration_s)

    def set_defocus(self, defocus_m: float) -> OpticsReport:
        """Set the defocus (m)."""
        return self._do(OpticsReport, OpticsDefocus, defocus_m=defocus_m)

    def set_field_of_view(self, field_of_view_m: float) -> OpticsReport:
        """Set the width of the scanned field (m)."""
        return self._do(OpticsReport, OpticsFieldOfView, field_of_view_m=field_of_view_m)

    def stream(self, command: ScanStream) -> StreamReport:
        """Start streaming frames to the data channel."""
        return cast(StreamReport, self.execute(command))

    def abort_scan(self) -> None:
        """Stop scanning."""
        self._do(Done, ScanAbort)
