"""Every fault of a network between a data server and its subscribers, in either direction.

A lossless subscriber may miss frames only where its connection was broken, and then they are missing, never
doubled or out of order; a viewer gets the newest. Publishing fails by a typed error within its time, and
everything flows again by itself once the network is well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import zmq

from eucentric_core import Frame, ServiceUnavailableError, TransportError
from eucentric_core.transport import DataServer, StreamMessage, StreamPublisher, StreamSubscriber

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

EXPIRY_S = 1.0
"""So that a subscriber that is cut off is forgotten within the test."""

PUBLISH_LIMIT_S = 0.5
HANGING_S = 60.0
"""Far more than anything here may take: whoever is still waiting then hangs."""

SUBSCRIBERS = 2
FRAMES = 12
SHAPE = (256, 512)
"""Half a mebibyte: several pieces on the way, of which some are lost with a connection."""

HARMLESS: tuple[Toxic, ...] = (
    Latency(0.05),
    Bandwidth(20e6),
    SlowClose(0.3),
    Slicer(32768, 0.001),
)
BREAKING: tuple[Toxic | None, ...] = (Timeout(0.2), LimitData(700), ResetPeer(0.05), None)


class Bench:
    """A server, its publisher, and subscribers of both kinds at the far end of a link."""

    def __init__(self, started: ExitStack) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        started.callback(context.term)
        server = DataServer(
            host="127.0.0.1",
            port=0,
            ingest_endpoint="tcp://127.0.0.1:0",
            context=context,
            expiry_s=EXPIRY_S,
        )
        serving = threading.Thread(target=server.serve)
        serving.start()
        started.callback(serving.join, timeout=HANGING_S)
        started.callback(server.stop)
        self.link = started.enter_context(Link(server.address[1]))
        self.publisher = StreamPublisher(server.ingest_endpoint, context=context, timeout_s=PUBLISH_LIMIT_S)
        started.callback(self.publisher.close)
        self.recorder = StreamSubscriber(
            "127.0.0.1", self.link.port, mode="lossless", credit=4, context=context, expiry_s=EXPIRY_S
        )
        started.callback(self.recorder.close)
        self.viewer = StreamSubscriber(
            "127.0.0.1", self.link.port, mode="newest", credit=2, context=context, expiry_s=EXPIRY_S
        )
        started.callback(self.viewer.close)
        for subscriber in (self.recorder, self.viewer):
            subscriber.wait_subscribed(HANGING_S)

    def publish(self, sequence: int) -> bool:
        """Whether the frame was taken; fails when that was not decided in time."""
        frame = build_frame(sequence, shape=SHAPE)
        began_s = time.monotonic()
        try:
            self.publisher.publish(frame.header, frame.array)
        except TransportError:
            return False
        finally:
            assert time.monotonic() - began_s < HANGING_S, "publish has no bound"
        return True


@pytest.fixture
def bench() -> Iterator[Bench]:
    with ExitStack() as started:
        yield Bench(started)


def received_from(subscriber: StreamSubscriber, timeout_s: float) -> Frame | None:
    """The next frame, whole; None if there was none in time."""
    try:
        message: StreamMessage | None = subscriber.receive(timeout_s)
    except ServiceUnavailableError:
        return None
    if message is None:
        return None
    subscriber.acknowledge()
    frame = message.frame()
    np.testing.assert_array_equal(frame.array, build_frame(frame.header.sequence, shape=SHAPE).array)
    return frame


@contextmanager
def listening(subscriber: StreamSubscriber) -> Iterator[list[int]]:
    """The sequence numbers that arrive while the block runs."""
    numbers: list[int] = []
    stopping = threading.Event()

    def listen() -> None:
        while not stopping.is_set():
            if (frame := received_from(subscriber, 0.05)) is not None:
                numbers.append(frame.header.sequence)

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield numbers
    finally:
        stopping.set()
        thread.join(timeout=HANGING_S)
        assert not thread.is_alive(), "receive has no bound"


def wait_for(numbers: list[int], sequence: int) -> None:
    deadline_s = time.monotonic() + HANGING_S
    while sequence not in numbers:
        assert time.monotonic() < deadline_s, f"{sequence} never came; what came: {numbers}"
        time.sleep(0.01)


def publish_until_heard(bench: Bench, numbers: list[int], first: int) -> int:
    """Publish until one of the new frames is heard; returns the next free sequence number."""
    deadline_s = time.monotonic() + HANGING_S
    sequence = first
    while not any(number >= first for number in numbers):
        assert time.monotonic() < deadline_s, "nothing flows although the link is well again"
        if bench.publish(sequence):
            sequence += 1
        time.sleep(0.05)
    return sequence


@pytest.mark.parametrize("direction", ["to_client", "to_server"])
@pytest.mark.parametrize("toxic", HARMLESS, ids=repr)
def test_a_slow_link_costs_a_recorder_nothing_and_a_viewer_only_what_is_old(
    bench: Bench, toxic: Toxic, direction: Direction
) -> None:
    bench.link.poison(toxic, direction)
    with listening(bench.recorder) as recorded, listening(bench.viewer) as seen:
        taken = []
        for sequence in range(FRAMES):
            while not bench.publish(sequence):
                pass
            taken.append(sequence)
        wait_for(recorded, FRAMES - 1)
        wait_for(seen, FRAMES - 1)
    assert recorded == taken
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("direction", ["to_client", "to_server"])
@pytest.mark.parametrize("toxic", BREAKING, ids=lambda toxic: repr(toxic) if toxic else "Down")
def test_a_broken_link_doubles_nothing_keeps_the_order_and_heals_by_itself(
    bench: Bench, toxic: Toxic | None, direction: Direction
) -> None:
    with listening(bench.recorder) as recorded, listening(bench.viewer) as seen:
        assert bench.publish(0)
        wait_for(recorded, 0)
        if toxic is None:
            bench.link.cut()
        else:
            bench.link.poison(toxic, direction)
        sequence = 1
        deadline_s = time.monotonic() + 2 * EXPIRY_S
        while sequence < FRAMES and time.monotonic() < deadline_s:
            sequence += bench.publish(sequence)
            time.sleep(0.01)
        bench.link.mend()
        first_after = sequence
        sequence = publish_until_heard(bench, recorded, first_after)
        sequence = publish_until_heard(bench, seen, sequence)
        # From here on the link is well: nothing more may be missed.
        last = [sequence + n for n in range(FRAMES)]
        for number in last:
            while not bench.publish(number):
                pass
        wait_for(recorded, last[-1])
        wait_for(seen, last[-1])
    assert bench.link.connections_made > SUBSCRIBERS, "the link never broke"
    assert recorded == sorted(set(recorded))
    assert seen == sorted(set(seen))
    assert recorded[-FRAMES:] == last


def test_a_recorder_at_the_end_of_a_dead_link_does_not_hold_the_source_back_for_ever(bench: Bench) -> None:
    bench.link.fall_silent()
    deadline_s = time.monotonic() + HANGING_S
    taken = 0
    # More than queue, credit and backlog hold together: the server has to let go of who is silent.
    while taken < 120:
        assert time.monotonic() < deadline_s, f"the source stands still after {taken} frames"
        taken += bench.publish(taken)
