"""Several instruments and edges at one hub: all events are heard, models go to their edges, no frames mix."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from eucentric_core import (
    Settings,
    load_settings,
    settings_by_instrument,
    settings_for_model,
)
from eucentric_core.transport import find_free_port
from eucentric_data_repository import Catalogue
from eucentric_flows import EventOutbox
from eucentric_flows._bridge import EventBridge, event_sources
from eucentric_flows.policy import RetrainAction, RetrainRequest
from eucentric_flows.stages import Workspace, gather
from eucentric_model_registry._site_edges import edges_of

from ..data_channel import data_channel
from .conftest import drift_event
from .recorded_session import register_arrays

WAIT_S = 60.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A hub with an instrument of its own and two others, one of which has an edge of its own."""
    names = (
        "agent",
        "agent_data",
        "edge",
        "edge_data",
        "second",
        "second_data",
        "edge2",
        "edge2_data",
        "repository",
    )
    port = {name: find_free_port() for name in names}
    return load_settings(
        flags={
            "home": str(tmp_path),
            "agent": {"name": "titan", "control_port": port["agent"], "data_port": port["agent_data"]},
            "edge": {"control_port": port["edge"], "data_port": port["edge_data"]},
            "repository": {"data_port": port["repository"]},
            "hub": {"more_edges": ["far.example.org:4320"]},
            "instruments": {
                "arm": {
                    "control_port": port["second"],
                    "data_port": port["second_data"],
                    "edge": {
                        "name": "edge-2",
                        "model": "sheets",
                        "control_port": port["edge2"],
                        "data_port": port["edge2_data"],
                    },
                },
                "titan": {"control_port": port["agent"]},
                "spare": {
                    "control_port": 1,
                    "data_port": 2,
                    "edge": {"control_port": port["edge"], "data_port": port["edge_data"]},
                },
            },
        },
        environment={},
    )


def test_each_instrument_is_seen_with_its_own_agent_and_edge(settings: Settings) -> None:
    seen = settings_by_instrument(settings)
    assert list(seen) == ["titan", "arm", "spare"]
    assert seen["titan"] is settings
    assert (seen["arm"].agent.name, seen["arm"].edge.name, seen["arm"].edge.model) == (
        "arm",
        "edge-2",
        "sheets",
    )
    assert seen["arm"].repository == settings.repository


def test_a_model_goes_to_the_edge_that_serves_it(settings: Settings) -> None:
    assert settings_for_model(settings, "atoms") is settings
    assert settings_for_model(settings, "sheets").edge.name == "edge-2"
    assert settings_for_model(settings, "of nobody") is settings


def test_every_edge_is_told_to_look_once(settings: Settings) -> None:
    own, second = settings.edge, settings.instruments["arm"].edge
    assert [str(edge) for edge in edges_of(settings)] == [
        f"127.0.0.1:{own.control_port}",
        f"127.0.0.1:{second.control_port}",
        "far.example.org:4320",
    ]


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[EventOutbox]:
    box = EventOutbox(tmp_path / "events.sqlite")
    yield box
    box.close()


class Nowhere:
    """A sink that takes everything."""

    def deliver(self, events: Any) -> None:
        """See `EventSink`."""


def test_events_of_every_instrument_are_heard(settings: Settings, outbox: EventOutbox) -> None:
    sources = event_sources(settings)
    assert set(sources) == {"agent", "edge", "agent arm", "edge arm", "agent spare", "repository"}
    heard: set[str] = set()
    wanted = {"edge": "titan", "edge arm": "arm"}
    with ExitStack() as stack:
        context: zmq.Context[Any] = stack.enter_context(zmq.Context())
        publishers = {
            name: stack.enter_context(data_channel(context, sources[name][1], name.replace(" ", "-")))
            for name in wanted
        }
        bridge = EventBridge(
            {name: sources[name] for name in wanted},
            outbox,
            Nowhere(),
            on_event=lambda event: heard.add(str(getattr(event, "instrument", None))),
        )
        stack.enter_context(bridge)
        deadline = time.monotonic() + WAIT_S
        while heard != set(wanted.values()):
            assert time.monotonic() < deadline, heard
            for name, publisher in publishers.items():
                publisher.publish_event(drift_event(instrument=wanted[name], source=name.replace(" ", "-")))
            time.sleep(0.1)


def test_sessions_of_one_name_do_not_mix(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    for instrument, value in (("titan", 1.0), ("arm", 2.0)):
        arrays = [{"haadf": np.full((16, 16), value, np.float32)} for _ in range(8)]
        register_arrays(root, "monday", arrays, instrument=instrument)
    settings = load_settings(flags={"home": str(tmp_path)}, environment={})
    action = RetrainAction.model_validate(
        {
            "recipe": "of-somebody",
            "frames": 8,
            "gather_timeout_s": 1,
            "inputs": {"images": {"kind": "arrays", "stream": "haadf"}},
        }
    )
    for instrument, value in (("arm", 2.0), ("titan", 1.0)):
        event = drift_event(instrument=instrument, session="monday", first_sequence=0, sequence=7)
        request = RetrainRequest(trigger_id=f"run-{instrument}", model="sheets", event=event)
        workspace = Workspace.of(settings, "sheets", request.trigger_id)
        with Catalogue(root / "catalogue.sqlite") as catalogue:
            gathered = gather(catalogue, request, action, workspace, print, champion=(), classes=None)
        (dataset,) = gathered.datasets
        assert instrument in dataset
        arrays_found = [np.load(path) for path in gathered.inputs["images"].training]
        assert {float(one) for array in arrays_found for one in np.unique(array)} == {value}
