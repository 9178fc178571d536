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

from .rig import SMALL, Opened, OpenInstrument, OpenTwin, StartAgent


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
def settings(tmp_path: Path) -> Settings:
    """Settings of a machine of the test's own: free ports, its own home, a small twin."""
    return Settings(
        home=tmp_path / "home",
        agent=AgentSettings(
            name="scope",
            driver={**SMALL, "seed": 5},
            control_port=find_free_port(),
            data_port=find_free_port(),
            min_free_bytes=0,
        ),
    )


@pytest.fixture
def agent(settings: Settings) -> Iterator[StartAgent]:
    """Starts an agent with its data process and gives connected clients of it."""
    with ExitStack() as started:

        def starter(*, client: str = "ada", lease_duration_s: float = 10.0) -> SteeringClient:
            if not running:
                running.append(started.enter_context(Agent(settings, lease_duration_s=lease_duration_s)))
            scope = connect(settings.agent.host, settings.agent.control_port, client=client)
            started.callback(scope.close)
            return scope

        running: list[Agent] = []
        yield starter
