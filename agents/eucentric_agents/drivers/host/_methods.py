"""What a driver host answers: the driver's verbs, the session desk, the agent's beats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future

from pydantic import JsonValue

from eucentric_core import EucentricError, Instrument, ServiceUnavailableError
from eucentric_core.transport import Method, Methods
from eucentric_core.vocabulary import Command, CommandResult

from ...data import DataLink
from ...sessions import SessionDesk
from ._deadman import Deadman
from ._device import DeviceThread
from ._messages import Abandoned, Beat, LinkState, Open, Opening, Order, Pulse

__all__ = ["HostMethods"]

_Payload = dict[str, JsonValue]


class HostMethods:
    """The methods of a host over its driver.

    Errors travel inside the answers, so that the agent can tell a driver that lost its vendor's server
    from a host that does not answer.

    Args:
        open_driver: opens the driver and returns when it is open.
        opened: the driver and the desk, once they are open.
        device: the thread that opens, uses and closes the driver.
        deadman: guards the instrument while the agent is silent.
        link: the way to the data process.
        published: the session of the last frame published, and how many acquisitions of it were.
    """

    def __init__(
        self,
        open_driver: Callable[[Open], None],
        opened: Future[tuple[Instrument, SessionDesk]],
        *,
        device: DeviceThread,
        deadman: Deadman,
        link: DataLink,
        published: Callable[[], tuple[str | None, int]],
    ) -> None:
        self._open_driver = open_driver
        self._opened = opened
        self._device = device
        self._deadman = deadman
        self._link = link
        self._published = published

    def table(self) -> Methods:
        """The methods by name."""
        methods: Mapping[str, Callable[[_Payload], _Payload]] = {
            "open": self._open,
            "execute": lambda order: _plain(self._execute(Order.model_validate(order).command)),
            "abort": lambda _: self._abort(),
            "safe_state": lambda _: self._safe_state(),
            "heartbeat": self._beat,
            "session.start": self._start_session,
            "session.stop": lambda _: _plain(self._steer(self._desk.stop, "session.stop")),
            "session.stop_if_open": lambda _: self._stop_if_open(),
            "session.abandoned": self._tell_abandoned,
            "link": self._set_link,
            "health": lambda _: {"state": self._state()},
        }
        return {name: _with_errors_inside(method) for name, method in methods.items()}

    @property
    def _driver(self) -> Instrument:
        return self._require_open()[0]

    @property
    def _desk(self) -> SessionDesk:
        return self._require_open()[1]

    def _require_open(self) -> tuple[Instrument, SessionDesk]:
        if not self._opened.done():
            raise ServiceUnavailableError(
                "The driver is not open.",
                safe="nothing was changed.",
                next_step="wait until the agent is ready.",
            )
        return self._opened.result()

    def _state(self) -> str:
        if not self._opened.done():
            return "standby"
        return "failed" if self._opened.exception() else "open"

    def _open(self, payload: _Payload) -> _Payload:
        self._open_driver(Open.model_validate(payload))
        return self._driver.capabilities.model_dump(mode="json")

    def _execute(self, command: Command) -> CommandResult:
        driver = self._driver
        if command.urgent or command.verb in driver.capabilities.concurrent_verbs:
            return driver.execute(command)
        if command.command_class == "observe":
            return self._device.run(lambda: driver.execute(command), command.verb)
        return self._steer(lambda: driver.execute(command), command.verb)

    def _steer(self, work: Callable[[], CommandResult], what: str) -> CommandResult:
        admitted = self._deadman.admit()
        try:
            return self._device.run(work, what)
        finally:
            self._deadman.settle(admitted)

    def _abort(self) -> _Payload:
        self._driver.abort()
        return {}

    def _safe_state(self) -> _Payload:
        self._driver.safe_state()
        return {}

    def _beat(self, payload: _Payload) -> _Payload:
        made_safe = self._deadman.beat(Beat.model_validate(payload).seen)
        return Pulse(made_safe=made_safe, published=self._published()).model_dump(mode="json")

    def _start_session(self, payload: _Payload) -> _Payload:
        opening = Opening.model_validate(payload)
        desk = self._desk
        return _plain(
            self._steer(lambda: desk.start(opening.command, trace_id=opening.trace_id), "session.start")
        )

    def _stop_if_open(self) -> _Payload:
        self._device.run(self._desk.stop_if_open, "session.stop")
        return {}

    def _tell_abandoned(self, payload: _Payload) -> _Payload:
        abandoned = Abandoned.model_validate(payload)
        self._desk.tell_abandoned(abandoned.session, frames=abandoned.frames)
        return {}

    def _set_link(self, payload: _Payload) -> _Payload:
        if LinkState.model_validate(payload).whole:
            self._link.mark_whole()
        else:
            self._link.mark_broken()
        return {}


def _plain(result: CommandResult) -> _Payload:
    return result.model_dump(mode="json")


def _with_errors_inside(method: Callable[[_Payload], _Payload]) -> Method:
    def answer(payload: _Payload) -> _Payload:
        try:
            return {"ok": method(payload)}
        except EucentricError as error:
            return {"error": error.report().model_dump(mode="json")}

    return answer
