"""Sessions, the instrument's state, and what only a simulator can do."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .._errors import ErrorReport
from .._frame import Optics, StagePosition
from .._model import Identifier
from ._base import Command, CommandResult

__all__ = [
    "InstrumentState",
    "SessionStart",
    "SessionStop",
    "SimulationDrift",
    "StateGet",
]


class InstrumentState(CommandResult):
    """The instrument as it stands; reading it changes nothing.

    `next_sequence` counts the acquisitions of the session and keeps its value after the session until
    the next one starts. `dose_e_per_a2` is what the present field of view has received; None if that is
    not known. `fault` says why the last scan ended, if it failed. `age_s` is over 0 where the device was
    at work and could not be read: all is as it was that long ago, but for a beam blanked meanwhile.
    """

    session: Identifier | None
    scanning: bool
    beam_blanked: bool
    next_sequence: Annotated[int, Field(ge=0)]
    stage: StagePosition
    optics: Optics
    dose_e_per_a2: Annotated[float, Field(ge=0)] | None
    simulated: bool
    fault: ErrorReport | None = None
    age_s: Annotated[float, Field(ge=0)] = 0.0


class StateGet(Command):
    """Read the instrument's state."""

    verb: Literal["state.get"] = "state.get"
    command_class = "observe"
    result_type = InstrumentState


class SessionStart(Command):
    """Open a session: frames are recorded under this name from now on."""

    verb: Literal["session.start"] = "session.start"
    command_class = "steer"
    session: Identifier
    sample: Identifier | None = None
    material: Identifier | None = None


class SessionStop(Command):
    """Close the session: the last shard is sealed and the data set manifest written."""

    verb: Literal["session.stop"] = "session.stop"
    command_class = "steer"


class SimulationDrift(Command):
    """Let the imaging conditions of a *simulated* instrument drift to new ones over some frames.

    Factors are relative to the present conditions; real instruments do not list this verb.
    """

    verb: Literal["simulation.drift"] = "simulation.drift"
    command_class = "steer"
    field_of_view_factor: Annotated[float, Field(ge=0.2, le=5)] = 1.0
    defocus_change_m: Annotated[float, Field(ge=-1e-6, le=1e-6)] = 0.0
    beam_current_factor: Annotated[float, Field(gt=0, le=10)] = 1.0
    over_frames: Annotated[int, Field(ge=1, le=100_000)] = 1
