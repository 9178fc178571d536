"""A subscriber can know that it has everything, instead of guessing it from silence."""

from __future__ import annotations

import threading
from collections.abc import Callable

import zmq

from eucentric_core import Frame
from eucentric_core.transport import DataServer, StreamPublisher, StreamSubscriber

Context = zmq.Context[zmq.Socket[bytes]]
FRAMES = 150


def publish_all(publisher: StreamPublisher, frames: list[Frame]) -> None:
    """Publish one after the other."""
    for frame in frames:
        publisher.publish(frame.header, frame.array)


def test_it_is_drained_when_everything_has_come_and_not_before(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data(ingest="inproc://ingest")
    publisher = StreamPublisher("inproc://ingest", context=context, timeout_s=20)
    frames = [make_frame(sequence) for sequence in range(FRAMES)]
    driver = threading.Thread(target=publish_all, args=(publisher, frames))
    with StreamSubscriber(*server.address, mode="lossless", credit=4, context=context) as subscriber:
        subscriber.wait_subscribed(20)
        assert not subscriber.is_drained()
        driver.start()
        subscriber.ask_drained()
        got: list[int] = []
        while len(got) < FRAMES - 5:
            message = subscriber.receive(20)
            assert message is not None
            got.append(message.frame().header.sequence)
            subscriber.acknowledge()
        driver.join()
        # What it may have it has by now; what it has not acknowledged keeps the last one back.
        subscriber.ask_drained()
        while len(got) < FRAMES - 1:
            message = subscriber.receive(20)
            assert message is not None
            got.append(message.frame().header.sequence)
        assert subscriber.receive(0.3) is None
        assert not subscriber.is_drained()
        subscriber.acknowledge(4)
        while not subscriber.is_drained():
            message = subscriber.receive(0.05)
            got += [] if message is None else [message.frame().header.sequence]
        while (message := subscriber.receive(0)) is not None:
            got.append(message.frame().header.sequence)
        assert got == list(range(FRAMES))
    publisher.close()


def test_who_is_forgotten_meanwhile_asks_again(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    first = start_data()
    _, port = first.address
    with StreamSubscriber("127.0.0.1", port, mode="lossless", context=context, expiry_s=0.5) as subscriber:
        subscriber.wait_subscribed(20)
        subscriber.ask_drained()
        while not subscriber.is_drained():
            assert subscriber.receive(0.02) is None
        start_data(port=port)
        subscriber.ask_drained()
        while not subscriber.is_drained():
            assert subscriber.receive(0.02) is None


def test_it_is_not_drained_while_another_holds_the_source_back(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data(ingest="inproc://ingest")
    publisher = StreamPublisher("inproc://ingest", context=context, timeout_s=20)
    with (
        StreamSubscriber(*server.address, mode="lossless", credit=1, context=context) as slow,
        StreamSubscriber(*server.address, mode="lossless", credit=64, context=context) as quick,
    ):
        for one in (slow, quick):
            one.wait_subscribed(20)
        for sequence in range(40):
            frame = make_frame(sequence)
            publisher.publish(frame.header, frame.array)
        quick.ask_drained()
        received = 0
        while (message := quick.receive(0.3)) is not None:
            received += 1
            quick.acknowledge()
        assert not quick.is_drained()
        assert received < 40
        for _ in range(40):
            assert slow.receive(20) is not None
            slow.acknowledge()
        while not quick.is_drained():
            message = quick.receive(0.05)
            received += message is not None
        while quick.receive(0) is not None:
            received += 1
        assert received == 40
    publisher.close()
