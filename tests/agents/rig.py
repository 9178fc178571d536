"""What the agents' tests share: a small twin, something to wait with, and what an instrument delivered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from eucentric_core import Frame, Instrument, Settings, SteeringClient
from eucentric_core.vocabulary import InstrumentState, StateGet

SMALL: dict[str, Any] = {"specimen": {"extent_m": 20e-9}, "column": {"field_of_view_m": 4e-9}}
"""A twin over a small crystal: frames of 256 pixels have 16 pm each."""


def state_of(instrument: Instrument) -> InstrumentState:
    """The instrument's state."""
    return cast(InstrumentState, instrument.execute(StateGet()))


def wait_until(true: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def wait_for_scan(instrument: Instrument) -> None:
    """Wait until the instrument takes no more frames."""
    wait_until(lambda: not state_of(instrument).scanning)


class Opened:
    """An open instrument and everything it has delivered."""

    def __init__(self, instrument: Instrument, frames: list[Frame]) -> None:
        self.instrument = instrument
        self.frames = frames

    def of(self, stream: str) -> list[Frame]:
        """The delivered frames of one stream."""
        return [frame for frame in self.frames if frame.header.stream == stream]


OpenInstrument = Callable[..., Opened]
OpenTwin = Callable[..., Opened]
Play = Callable[..., list[Frame]]
ConnectAgent = Callable[..., SteeringClient]
StartAgent = Callable[..., tuple[Settings, SteeringClient]]
