"""The seam every driver implements and every client sees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import pi
from typing import Annotated, Protocol, TypeVar, cast, runtime_checkable

from pydantic import Field

from ._model import FrozenModel, Identifier
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

__all__ = ["Capabilities", "Instrument", "InstrumentVerbs", "StageLimits"]

_Result = TypeVar("_Result", bound=CommandResult)


_Metres = Annotated[float, Field(ge=-5e-3, le=5e-3)]
_Radians = Annotated[float, Field(ge=-pi / 2, le=pi / 2)]


class StageLimits(FrozenModel):
    """The lowest and highest coordinate of each stage axis; None: the stage has no such axis."""

    x_m: tuple[_Metres, _Metres] | None = None
    y_m: tuple[_Metres, _Metres] | None = None
    z_m: tuple[_Metres, _Metres] | None = None
    alpha_rad: tuple[_Radians, _Radians] | None = None
    beta_rad: tuple[_Radians, _Radians] | None = None


class Capabilities(FrozenModel):
    """What an instrument can do. A verb that is absent raises `UnsupportedError`.

    `concurrent_verbs` only observe, and the driver answers them from any thread while another command
    runs. Other observing verbs are answered meanwhile from the last reading, which says its age.
    `untested_on_hardware` marks a driver that was written to published call names and has never moved a
    real instrument; whoever shows the instrument shows that.
    """

    instrument: Identifier
    model: str
    simulated: bool
    verbs: tuple[str, ...]
    concurrent_verbs: tuple[str, ...] = ()
    streams: tuple[str, ...]
    max_field_of_view_m: Annotated[float, Field(gt=0)] | None = None
    max_stage_offset_m: Annotated[float, Field(gt=0)] | None = None
    stage_limits: StageLimits = StageLimits()
    cameras: tuple[Identifier, ...] = ()
    spectrometers: tuple[Identifier, ...] = ()
    untested_on_hardware: bool = False
    notes: str = ""


@runtime_checkable
class Instrument(Protocol):
    """A microscope as the agent sees it: no transport, no lease, no policy.

    `execute` runs on one owner thread, except for urgent commands (`beam.blank`, `scan.abort`,
    `stage.stop`) and the capabilities' `concurrent_verbs`. These, `abort` and `safe_state` may be called
    from any thread at any time and must return within a second.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the instrument can do; constant while it is open."""
        ...

    def execute(self, command: Command) -> CommandResult:
        """Carry out one command and return a result of its `result_type`.

        Raises:
            UnsupportedError: the verb is not among the capabilities.
            EucentricError: the device failed; the error says what is safe.
        """
        ...

    def abort(self) -> None:
        """Stop scanning as soon as possible."""
        ...

    def safe_state(self) -> None:
        """Blank the beam, stop scanning, halt the stage."""
        ...

    def close(self) -> None:
        """Go to the safe state and release the device."""
        ...


class InstrumentVerbs(ABC):
    """Typed verbs on top of `execute`, shared by drivers' procedures and the steering client.

    A procedure written against these methods runs beside the instrument and from far away unchanged.
    """

    @abstractmethod
    def execute(self, command: Command) -> CommandResult:
        """Carry out one command; see `Instrument.execute`."""

    def _typed(self, command: Command, kind: type[_Result]) -> _Result:
        return cast(_Result, self.execute(command))

    def state(self) -> InstrumentState:
        """The instrument as it stands."""
        return self._typed(StateGet(), InstrumentState)

    def start_session(self, session: str, *, sample: str | None = None, material: str | None = None) -> None:
        """Open a session; frames are recorded under its name."""
        self.execute(SessionStart(session=session, sample=sample, material=material))

    def stop_session(self) -> None:
        """Close the session and its data set."""
        self.execute(SessionStop())

    def stage(self) -> MoveReport:
        """Read the stage."""
        return self._typed(StageGet(), MoveReport)

    def move_stage(
        self, *, x_m: float | None = None, y_m: float | None = None, z_m: float | None = None
    ) -> MoveReport:
        """Move the stage to an absolute position (m)."""
        return self._typed(StageMove(x_m=x_m, y_m=y_m, z_m=z_m), MoveReport)

    def move_stage_by(
        self, *, dx_m: float | None = None, dy_m: float | None = None, dz_m: float | None = None
    ) -> MoveReport:
        """Move the stage by a distance (m) from the last commanded position."""
        return self._typed(StageMoveBy(dx_m=dx_m, dy_m=dy_m, dz_m=dz_m), MoveReport)

    def tilt_stage(self, *, alpha_rad: float | None = None, beta_rad: float | None = None) -> MoveReport:
        """Tilt the stage to absolute angles (rad)."""
        return self._typed(StageTilt(alpha_rad=alpha_rad, beta_rad=beta_rad), MoveReport)

    def stop_stage(self) -> MoveReport:
        """Halt the stage where it is."""
        return self._typed(StageStop(), MoveReport)

    def park_beam(self, *, y_fraction: float, x_fraction: float) -> None:
        """Park the probe at a place of the field of view, as fractions from the top left corner."""
        self.execute(BeamPark(y_fraction=y_fraction, x_fraction=x_fraction))

    def shift_beam(self, *, x_m: float, y_m: float) -> VectorReport:
        """Shift the beam to an absolute (x, y) from the optical axis (m)."""
        return self._typed(BeamShift(x_m=x_m, y_m=y_m), VectorReport)

    def set_stigmator(self, *, x_m: float, y_m: float) -> VectorReport:
        """Set the two-fold astigmatism (m)."""
        return self._typed(OpticsStigmator(x_m=x_m, y_m=y_m), VectorReport)

    def set_scan_rotation(self, rotation_rad: float) -> OpticsReport:
        """Turn the scan (rad)."""
        return self._typed(OpticsScanRotation(rotation_rad=rotation_rad), OpticsReport)

    def auto_focus(self) -> OpticsReport:
        """Run the instrument's own automatic focus."""
        return self._typed(AutoFocus(), OpticsReport)

    def set_column_valve(self, *, open: bool) -> None:
        """Open or close the column valve; hazardous, needs an operator."""
        self.execute(ColumnValve(open=open))

    def acquire_scan(
        self, *, height_px: int = 512, width_px: int = 512, dwell_time_s: float = 1e-6
    ) -> FrameReference:
        """Scan one frame; the array leaves over the data channel."""
        command = ScanAcquire(height_px=height_px, width_px=width_px, dwell_time_s=dwell_time_s)
        return self._typed(command, FrameReference)

    def acquire_camera(self, camera: str, *, exposure_s: float, binning: int = 1) -> FrameReference:
        """Take one camera frame; the array leaves over the data channel."""
        command = CameraAcquire(camera=camera, exposure_s=exposure_s, binning=binning)
        return self._typed(command, FrameReference)

    def acquire_spectrum(self, spectrometer: str, *, exposure_s: float) -> FrameReference:
        """Take one spectrum at the parked probe; the array leaves over the data channel."""
        command = SpectrumAcquire(spectrometer=spectrometer, exposure_s=exposure_s)
        return self._typed(command, FrameReference)

    def blank(self) -> None:
        """Blank the beam."""
        self.execute(BeamBlank())

    def unblank(self, *, max_duration_s: float) -> None:
        """Unblank the beam for at most `max_duration_s`."""
        self.execute(BeamUnblank(max_duration_s=max_duration_s))

    def set_defocus(self, defocus_m: float) -> OpticsReport:
        """Set the defocus (m)."""
        return self._typed(OpticsDefocus(defocus_m=defocus_m), OpticsReport)

    def set_field_of_view(self, field_of_view_m: float) -> OpticsReport:
        """Set the width of the scanned field (m)."""
        return self._typed(OpticsFieldOfView(field_of_view_m=field_of_view_m), OpticsReport)

    def stream(self, command: ScanStream) -> StreamReport:
        """Start streaming frames to the data channel."""
        return self._typed(command, StreamReport)

    def abort_scan(self) -> None:
        """Stop scanning."""
        self.execute(ScanAbort())
