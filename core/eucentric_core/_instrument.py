"""The seam every driver implements and every client sees."""

from __future__ import annotations

from math import pi
from typing import Annotated, Protocol, runtime_checkable

from pydantic import Field

from ._model import FrozenModel, Identifier
from .vocabulary import Command, CommandResult

__all__ = ["Capabilities", "Instrument", "StageLimits"]


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
