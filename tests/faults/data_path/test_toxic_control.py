"""Every fault of a network on the control link, in either direction: for calls, and for `data.open`.

A call is answered, or fails by a typed error in bounded time; it never runs twice by itself. Who subscribes
keeps the data channel open over a slow link; over a broken one the key expires, and comes back by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import zmq

from eucentric_core import Caller, TransportError
from eucentric_core.transport import (
    DATA_OPEN,
    DataAccess,
    DataOpening,
    DataServer,
    KeyRing,
    Methods,
    PyroControlClient,
    PyroControlServer,
    StreamPublisher,
    StreamSubscriber,
)

from ...frames import build_frame
from ...links import (
    Bandwidth,
    Direction,
    Latency,
    LimitData,
    Link,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
    Toxic,
)
from .chain import HANGING_S, wait_until

CALLS = 6
CALL_TIMEOUT_S = 20.0
KEY_VALID_S = 1.0
"""So that a key that is not renewed expires within the test."""

HARMLESS: tuple[Toxic, ...] = (Latency(0.05), Bandwidth(20e3), SlowClose(0.2), Slicer(16, 0.002))
BREAKING: tuple[Toxic | None, ...] = (Timeout(0.1), LimitData(100), ResetPeer(0.0), None)

directions = pytest.mark.parametrize("direction", ["to_server", "to_client"])
slowed = pytest.mark.parametrize("toxic", HARMLESS, ids=repr)
broken = pytest.mark.parametrize("toxic", BREAKING, ids=lambda toxic: repr(toxic) if toxic else "Down")


class Bench:
    """A service whose control channel is at the end of a link, and gives out the keys to its data channel."""

    def __init__(self, started: ExitStack) -> None:
        self.ran: list[int] = []
        self.keys = KeyRing()
        self.opened = 0
        control = PyroControlServer(self._methods, host="127.0.0.1", port=0)
        self._serve(started, control)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        started.callback(self.context.term)
        self.data = DataServer(
            host="127.0.0.1",
            port=0,
            ingest_endpoint="tcp://127.0.0.1:0",
            context=self.context,
            keys=self.keys,
        )
        self._serve(started, self.data)
        self.link = started.enter_context(Link(control.address[1]))
        self._publisher = StreamPublisher(
            self.data.ingest_endpoint, context=self.context, timeout_s=HANGING_S
        )
        started.callback(self._publisher.close)
        self._published = 0

    def _serve(self, started: ExitStack, server: PyroControlServer | DataServer) -> None:
        thread = threading.Thread(target=server.serve)
        thread.start()
        started.callback(thread.join, timeout=HANGING_S)
        started.callback(server.stop)

    def _methods(self, caller: Caller) -> Methods:
        def run(payload: dict[str, Any]) -> dict[str, Any]:
            self.ran.append(payload["number"])
            return {"number": payload["number"]}

        def open_data(payload: dict[str, Any]) -> dict[str, Any]:
            self.opened += 1
            self.keys.admit(payload["public_key"], caller.name, valid_s=KEY_VALID_S)
            opening = DataOpening(server_key=self.keys.server_key, valid_s=KEY_VALID_S)
            return opening.model_dump(mode="json")

        return {"run": run, DATA_OPEN: open_data}

    def client(self, timeout_s: float = CALL_TIMEOUT_S) -> PyroControlClient:
        """A client at the far end of the link."""
        return PyroControlClient("127.0.0.1", self.link.port, timeout_s=timeout_s)

    def hurt(self, toxic: Toxic | None, direction: Direction) -> None:
        """Poison one direction of the link; None cuts it."""
        if toxic is None:
            self.link.cut()
        else:
            self.link.poison(toxic, direction)

    def publish(self) -> None:
        """Publish one more frame."""
        frame = build_frame(self._published)
        self._publisher.publish(frame.header, frame.array)
        self._published += 1

    def publish_until_heard(self, subscriber: StreamSubscriber) -> int:
        """Publish until one of these frames, or an earlier one, is heard; returns its number."""
        heard: list[int] = []

        def hear() -> bool:
            self.publish()
            try:
                message = subscriber.receive(0.05)
            except TransportError:
                # It is cut off, and asks for its keys again by itself.
                return False
            if message is not None:
                subscriber.acknowledge()
                heard.append(message.frame().header.sequence)
            return bool(heard)

        wait_until(hear, "a frame is heard")
        return heard[0]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with ExitStack() as started:
        yield Bench(started)


@pytest.fixture
def client(bench: Bench) -> Iterator[Callable[[int], int]]:
    """Calls over the link, by number."""
    calling = bench.client()

    def call(number: int) -> int:
        answer = calling.call("run", {"number": number})["number"]
        assert isinstance(answer, int)
        return answer

    yield call
    calling.close()


@directions
@slowed
def test_over_a_slow_link_every_call_is_answered_once(
    bench: Bench, client: Callable[[int], int], toxic: Toxic, direction: Direction
) -> None:
    bench.hurt(toxic, direction)
    assert [client(number) for number in range(CALLS)] == list(range(CALLS))
    assert bench.ran == list(range(CALLS))


@directions
@broken
def test_over_a_broken_link_a_call_fails_by_a_typed_error_and_runs_once_at_most(
    bench: Bench, client: Callable[[int], int], toxic: Toxic | None, direction: Direction
) -> None:
    assert client(0) == 0
    bench.hurt(toxic, direction)
    failures = []
    for number in range(1, CALLS):
        try:
            client(number)
        except TransportError as error:
            failures.append(error)
    assert failures, "the link never broke"
    bench.link.mend()
    assert client(CALLS) == CALLS
    assert bench.ran == sorted(set(bench.ran))


@directions
@slowed
def test_over_a_slow_link_the_data_channel_stays_open(
    bench: Bench, toxic: Toxic, direction: Direction
) -> None:
    bench.hurt(toxic, direction)
    access = DataAccess(bench.client, client="test")
    with StreamSubscriber(
        *bench.data.address, mode="lossless", context=bench.context, access=access, expiry_s=1.0
    ) as subscriber:
        subscriber.wait_subscribed(HANGING_S)
        wait_until(lambda: bench.opened >= 3, "the key is renewed")
        bench.publish_until_heard(subscriber)
        assert access.error is None


@directions
@broken
def test_over_a_broken_link_the_key_expires_and_the_data_channel_comes_back_by_itself(
    bench: Bench, toxic: Toxic | None, direction: Direction
) -> None:
    access = DataAccess(bench.client, client="test")
    with StreamSubscriber(
        *bench.data.address, mode="lossless", context=bench.context, access=access, expiry_s=1.0
    ) as subscriber:
        subscriber.wait_subscribed(HANGING_S)
        before = bench.publish_until_heard(subscriber)
        bench.hurt(toxic, direction)
        wait_until(lambda: access.opening is None and not len(bench.keys), "the key expires")
        assert isinstance(access.error, TransportError)
        bench.link.mend()
        wait_until(lambda: access.error is None, "the channel is open again")
        assert bench.publish_until_heard(subscriber) > before
