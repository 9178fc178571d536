"""An agent with a small SIMULATED microscope, and the settings by which commands find it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eucentric_agents import Agent
from eucentric_core import Settings, load_settings
from eucentric_core.transport import find_free_port

SETTINGS = """
home = "{home}"
[agent]
name = "scope"
control_port = {control}
data_port = {data}
min_free_bytes = 0
[agent.driver]
seed = 5
[agent.driver.specimen]
extent_m = 20e-9
[agent.driver.column]
field_of_view_m = 4e-9
[instruments.titan]
control_port = {control}
data_port = {data}
[instruments.far-away]
control_port = {nobody}
"""


@dataclass(frozen=True)
class Machine:
    """Where the agent runs."""

    config: Path
    settings: Settings


@contextmanager
def running_machine(folder: Path) -> Iterator[Machine]:
    """A machine whose agent runs; it is also known as `titan`."""
    config = folder / "eucentric.toml"
    config.write_text(
        SETTINGS.format(
            home=folder / "home", control=find_free_port(), data=find_free_port(), nobody=find_free_port()
        ),
        encoding="utf-8",
    )
    settings = load_settings(config)
    with Agent(settings):
        yield Machine(config, settings)
