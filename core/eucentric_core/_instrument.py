"""The seam every driver implements and every client sees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Protocol, TypeVar, cast, runtime_checkable

from pydantic import Field

from ._model import FrozenModel, Identifier
from .vocabulary import (
    BeamBlank,
    BeamUnblank,
    Command,
    CommandResult,
    InstrumentState,
    MoveReport,
    OpticsDefocus,
    OpticsFieldOfView,
    OpticsReport,
    ScanAbort,
    ScanStream,
    SessionStart,
    SessionStop,
    StageGet,
    StageMove,
    StateGet,
    StreamReport,
)

__all__ = ["Capabilities", "Instrument", "InstrumentVerbs"]

_Result = TypeVar("_Result", bound=CommandResult)


class Capabilities(FrozenModel):
    """What an instrument can do. A verb that is absent raises `UnsupportedError`.

    `concurrent_verbs` only observe, and the driver answers them from any thread while another command
    runs. Other observing verbs are answered meanwhile from the last reading, which says its age.
    """

    instrument: Identifier
    model: str
    simulated: bool
    verbs: tuple[str, ...]
    concurrent_verbs: tuple[str, ...] = ()
    streams: tuple[str, ...]
    max_field_of_view_m: Annotated[float, Field(gt=0)] | None = None
    max_stage_offset_m: Annotated[float, Field(gt=0)] | None = None
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
