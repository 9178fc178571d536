"""Instruments opened for a test, and agents that run as they do on a control PC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from eucentric_agents import Agent, open_driver
from eucentric_core import AgentSettings, Frame, Settings, SteeringClient, connect
from eucentric_core.transport import find_free_port
from eucentric_core.vocabulary import ScanStream, SessionStart

from .rig import SMALL, ConnectAgent, Opened, OpenInstrument, OpenTwin, Play, StartAgent, wait_for_scan


@pytest.fixture
def open_instrument() -> Iterator[OpenInstrument]:
    """Opens drivers by name and options, and closes them at the end."""
    with ExitStack() as opened:

        def opener(name: str, options: dict[str, Any]) -> Opened:
            frames: list[Frame] = []
            instrument = open_driver(
                AgentSettings(name="scope", instrument=name, driver=options), frames.append
            )
            opened.callback(instrument.close)
            return Opened(instrument, frames)

        yield opener


@pytest.fixture
def twin(open_instrument: OpenInstrument) -> OpenTwin:
    """Opens a small twin; options given are laid over `SMALL`."""

    def opener(**options: Any) -> Opened:
        merged = {**SMALL, **options}
        for section in ("specimen", "column"):
            merged[section] = {**SMALL[section], **options.get(section, {})}
        return open_instrument("twin", merged)

    return opener


@pytest.fixture
def play(open_instrument: OpenInstrument) -> Play:
    """Plays a recording to its end and gives its frames."""

    def player(path: Path, **options: Any) -> list[Frame]:
        opened: Opened = open_instrument("replay", {"path": str(path), **options})
        opened.instrument.execute(SessionStart(session="s"))
        opened.instrument.execute(ScanStream())
        wait_for_scan(opened.instrument)
        return opened.frames

    return player


def machine_settings(home: Path, **driver: Any) -> Settings:
    """Settings of a machine of the test's own: free ports, its own home, a small twin with these options."""
    return Settings(
        home=home,
        agent=AgentSettings(
            name="scope",
            driver={**SMALL, "seed": 5, **driver},
            control_port=find_free_port(),
            data_port=find_free_port(),
            min_free_bytes=0,
        ),
    )


def connected(settings: Settings, client: str) -> SteeringClient:
    """A client of the agent on that machine."""
    return connect(settings.agent.host, settings.agent.control_port, client=client)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The machine of the agent that the tests of a module share; a nanometre takes its stage a second."""
    home = tmp_path_factory.mktemp("machine") / "home"
    chosen = machine_settings(home, stage={"speed_m_per_s": 1e-9})
    with Agent(chosen):
        yield chosen


@pytest.fixture
def agent(settings: Settings) -> Iterator[ConnectAgent]:
    """Connects clients to the shared agent; afterwards no session is open and the beam is blanked."""
    with ExitStack() as opened:

        def connector(client: str = "ada") -> SteeringClient:
            scope = connected(settings, client)
            opened.callback(scope.close)
            return scope

        yield connector
        tidy = connector("tidy")
        tidy.safe_stop()
        if tidy.state().session is not None:
            with tidy.control(reason="tidy up"):
                tidy.stop_session()


@pytest.fixture
def own_agent(tmp_path: Path) -> Iterator[StartAgent]:
    """Starts an agent for one test, with a lease duration of its own."""
    with ExitStack() as started:

        def starter(*, lease_duration_s: float) -> tuple[Settings, SteeringClient]:
            settings = machine_settings(tmp_path / "home")
            started.enter_context(Agent(settings, lease_duration_s=lease_duration_s))
            scope = connected(settings, "ada")
            started.callback(scope.close)
            return settings, scope

        yield starter
