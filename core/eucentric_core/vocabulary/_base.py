"""What all commands share: a verb, a class, and the type of the answer."""

from __future__ import annotations

from typing import ClassVar, Literal

from .._model import FrozenModel

__all__ = ["Command", "CommandClass", "CommandResult", "Done"]

CommandClass = Literal["observe", "steer", "hazard"]
"""`observe` needs no lease; `steer` needs one; `hazard` (valves, high tension) needs one and an operator."""


class CommandResult(FrozenModel):
    """Base of all answers."""


class Done(CommandResult):
    """The command took effect; there is nothing more to say."""


class Command(FrozenModel):
    """Base of all commands. `verb` names the primitive; SI units and radians throughout.

    An `urgent` command makes the instrument safer; it never waits behind another one.
    """

    verb: str
    command_class: ClassVar[CommandClass]
    urgent: ClassVar[bool] = False
    result_type: ClassVar[type[CommandResult]] = Done
