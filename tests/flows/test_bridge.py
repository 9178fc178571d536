"""Events cross from a data channel to Prefect, each once, whoever is down at the moment."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import zmq

from eucentric_core.transport import DataServer, StreamPublisher, find_free_port
from eucentric_flows import EventBridge, EventOutbox
from eucentric_flows._prefect_events import PrefectEventSink

from .conftest import drift_event


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


class Channel:
    """A service's data channel that publishes events."""

    def __init__(self, port: int, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.address = ("127.0.0.1", port)
        endpoint = f"inproc://channel-{port}"
        self._server = DataServer(host="127.0.0.1", port=port, ingest_endpoint=endpoint, context=context)
        self._thread = threading.Thread(target=self._server.serve)
        self._thread.start()
        self.publisher = StreamPublisher(endpoint, context=context)

    def close(self) -> None:
        self.publisher.close()
        self._server.stop()
        self._thread.join()


@pytest.fixture
def edge() -> Iterator[Channel]:
    with zmq.Context() as context:
        channel = Channel(find_free_port(), context)
        yield channel
        channel.close()


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[EventOutbox]:
    opened = EventOutbox(tmp_path / "events.sqlite")
    yield opened
    opened.close()


def events_at(prefect: str, trace_id: str) -> list[dict[str, object]]:
    """Events of a trace that Prefect has stored."""
    answer = httpx.post(
        f"{prefect}/events/filter", json={"filter": {"event": {"prefix": ["eucentric."]}}, "limit": 50}
    )
    found = answer.raise_for_status().json()["events"]
    return [event for event in found if event["payload"]["trace_id"] == trace_id]


def test_an_event_reaches_prefect_once_though_it_was_published_twice(
    edge: Channel, outbox: EventOutbox, prefect: str
) -> None:
    event = drift_event(trace_id="once")
    sink = PrefectEventSink(prefect)
    with EventBridge({"edge": edge.address}, outbox, sink):
        wait_until(lambda: _subscribed(edge, outbox))
        edge.publisher.publish_event(event)
        edge.publisher.publish_event(event)
        wait_until(lambda: outbox.counts().repeated >= 1)
        wait_until(lambda: len(events_at(prefect, "once")) > 0)
    sink.close()
    (stored,) = events_at(prefect, "once")
    assert stored["event"] == "eucentric.drift.detected"
    resource = stored["resource"]
    assert isinstance(resource, dict)
    assert resource["prefect.resource.id"] == "eucentric.edge-1"
    assert resource["eucentric.material"] == "mos2"
    assert stored["payload"] == event.model_dump(mode="json")


def _subscribed(edge: Channel, outbox: EventOutbox) -> bool:
    """Whether events pass: a subscription that does not exist yet hears nothing."""
    edge.publisher.publish_event(drift_event(trace_id="is anybody there"))
    time.sleep(0.2)
    counts = outbox.counts()
    return counts.pending + counts.delivered > 0


def test_events_wait_visibly_while_prefect_is_down_and_arrive_when_it_is_back(
    edge: Channel, outbox: EventOutbox, prefect: str
) -> None:
    dead = PrefectEventSink(f"http://127.0.0.1:{find_free_port()}/api", timeout_s=1)
    with EventBridge({"edge": edge.address}, outbox, dead):
        wait_until(lambda: _subscribed(edge, outbox))
        edge.publisher.publish_event(drift_event(trace_id="patient"))
        wait_until(lambda: any(event.trace_id == "patient" for event in outbox.pending()))
    dead.close()
    assert events_at(prefect, "patient") == []

    alive = PrefectEventSink(prefect)
    with EventBridge({}, outbox, alive):
        wait_until(lambda: outbox.counts().pending == 0)
        wait_until(lambda: len(events_at(prefect, "patient")) == 1)
    alive.close()


def test_a_bridge_that_cannot_go_on_says_so(edge: Channel, tmp_path: Path) -> None:
    outbox = EventOutbox(tmp_path / "events.sqlite")
    ended = threading.Event()
    sink = PrefectEventSink(f"http://127.0.0.1:{find_free_port()}/api", timeout_s=1)
    bridge = EventBridge({"edge": edge.address}, outbox, sink, on_end=ended.set)
    bridge.__enter__()
    outbox.close()
    assert ended.wait(30)
    with pytest.raises(sqlite3.ProgrammingError):
        bridge.__exit__(None, None, None)
    sink.close()


def test_events_outlive_the_process(tmp_path: Path) -> None:
    event = drift_event()
    first = EventOutbox(tmp_path / "events.sqlite")
    first.add(event)
    first.close()
    second = EventOutbox(tmp_path / "events.sqlite")
    assert second.pending() == (event,)
    second.mark_delivered([event])
    assert second.pending() == ()
    second.add(event)
    assert second.pending() == ()
    second.close()


def test_the_outbox_is_bounded_and_says_what_it_gave_up(tmp_path: Path) -> None:
    outbox = EventOutbox(tmp_path / "events.sqlite", capacity=3)
    events = [drift_event(sequence=number + 12) for number in range(5)]
    for event in events:
        outbox.add(event)
    assert outbox.pending() == tuple(events[2:])
    assert outbox.counts().dropped == 2
    outbox.mark_delivered(events[2:])
    assert (outbox.counts().pending, outbox.counts().delivered) == (0, 3)
    outbox.close()
