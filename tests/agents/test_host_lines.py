"""The agent's connections to its driver host: what must not wait waits for nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import JsonValue

from eucentric_agents.drivers.host import HostedInstrument
from eucentric_agents.drivers.host._lines import HostLines, Line
from eucentric_core import Capabilities
from eucentric_core.transport import Methods, PyroControlServer
from eucentric_core.vocabulary import BeamBlank, Done

TOKEN = "between us"  # noqa: S105


class Host:
    """A driver host whose driver answers nothing but the safe state until it is let go."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.lines = HostLines(lambda: None)
        self.instrument = HostedInstrument(self.lines, self._capabilities, self.lines.close)
        methods: Methods = {
            "execute": self._execute,
            "safe_state": self._safe_state,
            "health": lambda _: {"ok": {}},
        }
        self.server = PyroControlServer(methods, host="127.0.0.1", port=0, token=TOKEN)
        self.serving = threading.Thread(target=self.server.serve, daemon=True)
        self.serving.start()
        self.connect()

    def connect(self) -> None:
        """Call the host, as if it were a fresh one."""
        self.lines.connect(self.server.address[1], TOKEN)

    @staticmethod
    def _capabilities() -> Capabilities:
        raise AssertionError("what is urgent is sent without looking")

    def _execute(self, _: dict[str, JsonValue]) -> dict[str, JsonValue]:
        self.asked.set()
        self.go_on.wait(20)
        return {"ok": Done().model_dump(mode="json")}

    def _safe_state(self, _: dict[str, JsonValue]) -> dict[str, JsonValue]:
        self.go_on.set()
        return {"ok": {}}


@pytest.fixture
def host() -> Iterator[Host]:
    """A host that answers on all lines."""
    host = Host()
    yield host
    host.go_on.set()
    host.lines.close()
    host.server.stop()
    host.serving.join(timeout=15)


def test_the_safe_state_does_not_wait_behind_anybody_s_blanking(host: Host) -> None:
    with ThreadPoolExecutor() as threads:
        blanking = threads.submit(host.instrument.execute, BeamBlank())
        assert host.asked.wait(15)
        host.instrument.safe_state()
        # Answered in time only because the safe state came through while it was going on.
        assert blanking.result(timeout=15) == Done()
    assert host.lines.lost is None


def test_a_steering_call_that_is_stuck_neither_holds_up_the_replacement_nor_keeps_the_next_host_busy(
    host: Host,
) -> None:
    with ThreadPoolExecutor() as threads:
        stuck = threads.submit(host.lines.call, Line.STEERING, "execute", {})
        assert host.asked.wait(15)
        threads.submit(host.lines.close).result(timeout=15)
        assert not stuck.done()
        host.connect()
        assert host.lines.call(Line.STEERING, "health", {}) == {}
        assert not stuck.done()
        host.go_on.set()
        stuck.result(timeout=15)
