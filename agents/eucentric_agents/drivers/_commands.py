"""From a command to the method that carries it out, without looking names up on the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eucentric_core import UnsupportedError
from eucentric_core.vocabulary import Command, CommandResult

__all__ = ["CommandTable", "Handler"]

Handler = Callable[[Any], CommandResult]


class CommandTable:
    """The verbs of one driver and what carries each out."""

    def __init__(self, instrument: str, handlers: Mapping[type[Command], Handler]) -> None:
        self._instrument = instrument
        self._handlers = dict(handlers)

    @property
    def verbs(self) -> tuple[str, ...]:
        """The verbs, sorted, as `Capabilities.verbs` lists them."""
        return tuple(sorted(kind.model_fields["verb"].default for kind in self._handlers))

    def __call__(self, command: Command) -> CommandResult:
        """Carry out a command.

        Raises:
            UnsupportedError: the driver has no such verb.
        """
        handler = self._handlers.get(type(command))
        if handler is None:
            raise UnsupportedError(
                f"{self._instrument} has no {command.verb}.",
                safe="nothing was changed.",
                next_step=f"use one of {', '.join(self.verbs)}.",
                verb=command.verb,
            )
        return handler(command)
