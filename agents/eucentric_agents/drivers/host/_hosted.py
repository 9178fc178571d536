"""The driver as the agent sees it: in another process, and otherwise an instrument like any."""

from __future__ import annotations

from collections.abc import Callable

from eucentric_core import Capabilities
from eucentric_core.vocabulary import Command, CommandResult, Done, SessionStart

from ._lines import HostLines, Line
from ._messages import Opening, Order

__all__ = ["HostedDesk", "HostedInstrument"]


class HostedInstrument:
    """Implements `eucentric_core.Instrument` over a driver host.

    Args:
        lines: the connections to the host.
        capabilities: of the instrument, as the host of the moment gives them.
        release: ends the host.
    """

    def __init__(
        self, lines: HostLines, capabilities: Callable[[], Capabilities], release: Callable[[], None]
    ) -> None:
        self._lines = lines
        self._capabilities = capabilities
        self._release = release

    @property
    def capabilities(self) -> Capabilities:
        """What the instrument can do."""
        return self._capabilities()

    def execute(self, command: Command) -> CommandResult:
        """Carry out one command.

        Raises:
            CommandRefusedError: nothing may steer now; says why.
            InstrumentLostError: the driver host is lost; a fresh one makes the instrument safe first.
            EucentricError: as the driver raises it.
        """
        if command.urgent:
            line = Line.URGENT
        else:
            if command.command_class != "observe":
                self._lines.require_steerable(command.verb)
            line = Line.OBSERVING if command.verb in self.capabilities.concurrent_verbs else Line.STEERING
        order = Order.model_validate({"command": command})
        answer = self._lines.call(line, "execute", order.model_dump(mode="json"))
        return command.result_type.model_validate(answer)

    def abort(self) -> None:
        """Stop scanning as soon as possible; fails as `execute` does."""
        self._lines.call(Line.URGENT, "abort", {})

    def safe_state(self) -> None:
        """Blank the beam, stop scanning, halt the stage; fails as `execute` does."""
        self._lines.call(Line.SAFE, "safe_state", {})

    def close(self) -> None:
        """Go to the safe state, release the device, and end the host."""
        self._release()


class HostedDesk:
    """Implements `eucentric_agents.sessions.Desk` over a driver host.

    Args:
        lines: the connections to the host.
        follow: told the name of the session that is open from now on, or None.
    """

    def __init__(self, lines: HostLines, follow: Callable[[str | None], None]) -> None:
        self._lines = lines
        self._follow = follow

    def start(self, command: SessionStart, *, trace_id: str | None) -> CommandResult:
        """Open a session; see `SessionDesk.start`."""
        self._lines.require_steerable("session.start")
        opening = Opening(command=command, trace_id=trace_id)
        answer = self._lines.call(Line.STEERING, "session.start", opening.model_dump(mode="json"))
        self._follow(command.session)
        return Done.model_validate(answer)

    def stop(self) -> CommandResult:
        """Close the session; see `SessionDesk.stop`."""
        answer = self._lines.call(Line.STEERING, "session.stop", {})
        self._follow(None)
        return Done.model_validate(answer)

    def stop_if_open(self) -> None:
        """Close the session if one is open; see `SessionDesk.stop`."""
        self._lines.call(Line.STEERING, "session.stop_if_open", {})
        self._follow(None)
