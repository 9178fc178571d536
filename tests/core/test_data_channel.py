"""Frames arrive in order and complete, or the source waits; viewers get the newest; nothing blocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import zmq

from eucentric_core import (
    ConfigurationError,
    DataFormatError,
    Frame,
    FrameHeader,
    ServiceUnavailableError,
    SessionStarted,
    TransportError,
)
from eucentric_core.transport import DataServer, StreamPublisher, StreamSubscriber, find_free_port

Context = zmq.Context[zmq.Socket[bytes]]


@contextmanager
def publishing(server: DataServer, context: Context, timeout_s: float = 20.0) -> Iterator[StreamPublisher]:
    """A publisher for `server`, closed at the end."""
    publisher = StreamPublisher(server.ingest_endpoint, context=context, timeout_s=timeout_s)
    try:
        yield publisher
    finally:
        publisher.close()


@contextmanager
def subscribed(
    server: DataServer, context: Context, *, mode: str = "lossless", **options: object
) -> Iterator[StreamSubscriber]:
    """A confirmed subscription to `server`, closed at the end."""
    with StreamSubscriber(*server.address, mode=mode, context=context, **options) as subscriber:  # type: ignore[arg-type]
        subscriber.wait_subscribed(10)
        yield subscriber


def receive_frame(subscriber: StreamSubscriber) -> Frame:
    """The next frame, acknowledged."""
    message = subscriber.receive(20)
    assert message is not None
    subscriber.acknowledge()
    return message.frame()


def receive_until_no_more_comes(subscriber: StreamSubscriber) -> list[int]:
    """Sequence numbers of what comes without an acknowledgement."""
    came = []
    while (message := subscriber.receive(0.5)) is not None:
        came.append(message.frame().header.sequence)
    return came


def publish_until_nobody_takes_more(publisher: StreamPublisher, frames: list[Frame]) -> int:
    """How many of the frames were taken."""
    for taken, frame in enumerate(frames):
        try:
            publisher.publish(frame.header, frame.array)
        except TransportError:
            return taken
    return len(frames)


def publish_all(publisher: StreamPublisher, frames: list[Frame]) -> None:
    """Publish one after the other."""
    for frame in frames:
        publisher.publish(frame.header, frame.array)


def receive_for_ever(subscriber: StreamSubscriber) -> None:
    """Wait for messages until that fails."""
    while True:
        subscriber.receive(0.1)


def test_a_frame_arrives_as_it_was_sent(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data()
    sent = make_frame(3, shape=(48, 32))
    with subscribed(server, context) as subscriber, publishing(server, context) as publisher:
        publisher.publish(sent.header, sent.array)
        got = receive_frame(subscriber)
    assert got.header == sent.header
    np.testing.assert_array_equal(got.array, sent.array)


def test_a_received_frame_is_a_read_only_view_of_the_message(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data()
    sent = make_frame(1)
    with subscribed(server, context) as subscriber, publishing(server, context) as publisher:
        publisher.publish(sent.header, sent.array)
        message = subscriber.receive(20)
    assert message is not None
    assert np.shares_memory(message.frame().array, np.frombuffer(message.payload.buffer, "uint8"))
    with pytest.raises(ValueError, match="read-only"):
        message.frame().array[0, 0] = 5


def test_within_one_process_a_large_frame_is_never_copied(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    # The way from publisher to server; from there on TCP copies once, inside the system.
    sent = make_frame(1, shape=(512, 512))
    receiver = context.socket(zmq.PULL)
    receiver.bind("inproc://ingest")
    publisher = StreamPublisher("inproc://ingest", context=context)
    publisher.publish(sent.header, sent.array)
    *_, payload = receiver.recv_multipart(copy=False)
    assert np.shares_memory(np.frombuffer(payload.buffer, "float32"), sent.array)
    publisher.close()
    receiver.close()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(16, 24), (5,), (0, 3), (), (2, 3, 4, 5)])
def test_every_type_and_shape_passes(
    dtype: str,
    shape: tuple[int, ...],
    start_data: Callable[..., DataServer],
    context: Context,
    make_frame: Callable[..., Frame],
) -> None:
    server = start_data()
    sent = make_frame(7, shape=shape, dtype=dtype, axes=())
    with subscribed(server, context) as subscriber, publishing(server, context) as publisher:
        publisher.publish(sent.header, sent.array)
        got = receive_frame(subscriber)
    assert got.array.shape == shape
    np.testing.assert_array_equal(got.array, sent.array)


def test_events_travel_in_band_between_the_frames_they_divide(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data()
    event = SessionStarted(source="twin", instrument="twin", session="s2")
    before, after = make_frame(0), make_frame(0, session="s2")
    with subscribed(server, context) as subscriber, publishing(server, context) as publisher:
        publisher.publish(before.header, before.array)
        publisher.publish_event(event)
        publisher.publish(after.header, after.array)
        assert receive_frame(subscriber).header.session == "s1"
        message = subscriber.receive(20)
        assert message is not None
        subscriber.acknowledge()
        assert message.event() == event
        assert receive_frame(subscriber).header.session == "s2"


def test_a_subscriber_gets_only_the_streams_it_named(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data()
    truth, haadf = make_frame(0, shape=(4, 3), stream="truth", axes=()), make_frame(0)
    with (
        subscribed(server, context, streams=["haadf"]) as subscriber,
        publishing(server, context) as publisher,
    ):
        publisher.publish(truth.header, truth.array)
        publisher.publish(haadf.header, haadf.array)
        assert receive_frame(subscriber).header.stream == "haadf"


def test_a_slow_recorder_holds_the_source_back_and_loses_nothing(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data()
    frames = [make_frame(sequence, shape=(512, 512)) for sequence in range(300)]
    with (
        subscribed(server, context, credit=2) as recorder,
        publishing(server, context, timeout_s=0.5) as publisher,
    ):
        taken = publish_until_nobody_takes_more(publisher, frames)
        assert 2 <= taken < len(frames)
        assert [receive_frame(recorder).header.sequence for _ in range(taken)] == list(range(taken))
        publisher.publish(frames[taken].header, frames[taken].array)
        assert receive_frame(recorder).header.sequence == taken


def test_a_viewer_skips_to_the_newest(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data()
    with (
        subscribed(server, context, mode="newest", credit=1) as viewer,
        subscribed(server, context) as recorder,
        publishing(server, context) as publisher,
    ):
        for sequence in range(50):
            frame = make_frame(sequence)
            publisher.publish(frame.header, frame.array)
            assert receive_frame(recorder).header.sequence == sequence
        seen = [receive_frame(viewer).header.sequence, receive_frame(viewer).header.sequence]
    assert seen == [0, 49]


def test_no_more_is_sent_than_was_acknowledged(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data()
    with (
        subscribed(server, context, credit=2) as subscriber,
        publishing(server, context) as publisher,
    ):
        for sequence in range(4):
            frame = make_frame(sequence)
            publisher.publish(frame.header, frame.array)
        waiting = [subscriber.receive(20), subscriber.receive(20)]
        assert all(waiting)
        assert subscriber.receive(0.3) is None
        subscriber.acknowledge(100)  # two are owed, whatever is claimed
        assert [receive_frame(subscriber).header.sequence for _ in range(2)] == [2, 3]


def test_who_takes_long_for_each_message_is_sent_fewer_at_a_time(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data()
    with (
        subscribed(server, context, credit=8, window_s=0.1) as subscriber,
        publishing(server, context) as publisher,
    ):
        publish_all(publisher, [make_frame(sequence) for sequence in range(20)])
        at_first = receive_until_no_more_comes(subscriber)
        subscriber.acknowledge(len(at_first), at_once=True)
        afterwards = receive_until_no_more_comes(subscriber)

    assert at_first == list(range(8))
    assert afterwards == [8]


def test_who_waits_for_a_message_can_be_woken_and_gets_one_that_is_there(
    start_data: Callable[[], DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server, frame = start_data(), make_frame(0)
    with (
        subscribed(server, context) as subscriber,
        publishing(server, context) as publisher,
        ThreadPoolExecutor(1) as other,
    ):
        waiting = other.submit(subscriber.receive, 60.0)
        subscriber.wake()
        assert waiting.result(timeout=20) is None
        subscriber.wake()
        assert subscriber.receive(60.0) is None, "also who comes only then"
        subscriber.wake()
        subscriber.wake()
        publisher.publish(frame.header, frame.array)
        # The answer comes behind the frame.
        subscriber.ask_drained()
        while not subscriber.is_drained():
            time.sleep(0.02)
        assert receive_frame(subscriber).header == frame.header


def test_after_a_restart_of_the_server_the_subscription_renews_itself(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    first = start_data()
    _, port = first.address
    with subscribed(first, context, credit=3, expiry_s=0.5) as subscriber:
        with publishing(first, context) as publisher:
            for sequence in range(3):
                frame = make_frame(sequence)
                publisher.publish(frame.header, frame.array)
            before = [subscriber.receive(20) for _ in range(3)]
        second = start_data(port=port)
        with publishing(second, context) as publisher:
            messages = iter(range(100, 10_000))
            subscriber.acknowledge(1)
            after = None
            while after is None:  # what is sent before the subscription is renewed is not for us
                frame = make_frame(next(messages))
                publisher.publish(frame.header, frame.array)
                after = subscriber.receive(0.05)
            # Two of the first three are still not acknowledged: there was room for one.
            assert subscriber.receive(0.3) is None
            subscriber.acknowledge(3)
            for _ in range(3):
                frame = make_frame(next(messages))
                publisher.publish(frame.header, frame.array)
            following = [receive_frame(subscriber).header.sequence for _ in range(3)]
    assert [m.frame().header.sequence for m in before if m is not None] == [0, 1, 2]
    start = after.frame().header.sequence
    assert following == [start + 1, start + 2, start + 3]


def test_a_dead_recorder_is_forgotten_and_no_longer_holds_the_source_back(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data(expiry_s=0.5)
    dead = context.socket(zmq.DEALER)
    dead.connect("tcp://{}:{}".format(*server.address))
    dead.send_json({"op": "subscribe", "generation": 1, "streams": [], "mode": "lossless", "credit": 0})
    assert dead.recv() == b"subscribed"
    frames = [make_frame(sequence, shape=(512, 512)) for sequence in range(100)]
    with (
        subscribed(server, context, expiry_s=0.5) as alive,
        publishing(server, context) as publisher,
        ThreadPoolExecutor(1) as pool,
    ):
        sending = pool.submit(publish_all, publisher, frames)
        got = [receive_frame(alive).header.sequence for _ in frames]
        sending.result(timeout=20)
    assert got == list(range(100))
    dead.send_json({"op": "alive", "generation": 1})
    assert dead.recv_multipart() == [b"unknown", b"1"]
    dead.close()


def test_answers_to_an_earlier_attempt_do_not_add_credit(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data()
    with context.socket(zmq.DEALER) as peer, publishing(server, context) as publisher:
        peer.setsockopt(zmq.LINGER, 0)
        peer.connect("tcp://{}:{}".format(*server.address))
        peer.send_json({"op": "subscribe", "generation": 2, "streams": [], "mode": "lossless", "credit": 0})
        assert peer.recv() == b"subscribed"
        frame = make_frame(0)
        publisher.publish(frame.header, frame.array)
        peer.send_json({"op": "credit", "generation": 1, "messages": 1})
        assert not peer.poll(300)
        peer.send_json({"op": "credit", "generation": 2, "messages": 1})
        assert peer.recv_multipart()[1] == b"haadf"


@pytest.mark.parametrize(
    "request_text",
    [
        b"",
        b"\xff\xfe",
        b"{}",
        b"[" * 60_000,
        b'{"op": "subscribe"}',
        b'{"op": "subscribe", "generation": 1, "streams": [], "mode": "all", "credit": 1}',
        b'{"op": "subscribe", "generation": 1, "streams": [], "mode": "lossless", "credit": -5}',
        b'{"op": "subscribe", "generation": 1, "streams": [], "mode": "lossless", "credit": 1000000}',
        b'{"op": "credit", "generation": 1, "messages": 1e308}',
        b'{"op": "shutdown"}',
        b" " * (80 << 10),
    ],
    ids=lambda text: repr(text[:24]),
)
def test_a_malformed_request_disturbs_nobody(
    request_text: bytes,
    start_data: Callable[..., DataServer],
    context: Context,
    make_frame: Callable[..., Frame],
) -> None:
    server = start_data()
    stranger = context.socket(zmq.DEALER)
    stranger.setsockopt(zmq.LINGER, 0)
    stranger.connect("tcp://{}:{}".format(*server.address))
    stranger.send(request_text)
    frame = make_frame(1)
    with subscribed(server, context) as subscriber, publishing(server, context) as publisher:
        publisher.publish(frame.header, frame.array)
        assert receive_frame(subscriber).header.sequence == 1
    stranger.close()


def test_a_malformed_message_from_a_publisher_is_dropped(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data()
    frame = make_frame(1)
    with (
        context.socket(zmq.PUSH) as stranger,
        subscribed(server, context) as subscriber,
        publishing(server, context) as publisher,
    ):
        stranger.connect(server.ingest_endpoint)
        stranger.send_multipart([b"haadf"])
        stranger.send_multipart([b"\xff\xff", b"{}", b""])
        stranger.send_multipart([b"haadf", b"{}", b"junk"])
        message = subscriber.receive(20)
        assert message is not None
        subscriber.acknowledge()
        with pytest.raises(DataFormatError, match="not of this schema"):
            message.frame()
        publisher.publish(frame.header, frame.array)
        assert receive_frame(subscriber).header.sequence == 1


def test_a_header_that_announces_another_array_is_refused_on_both_sides(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data()
    frame = make_frame(1)
    bomb = FrameHeader.model_validate({**frame.header.model_dump(), "shape": (16384, 16384)})
    with (
        context.socket(zmq.PUSH) as stranger,
        subscribed(server, context) as subscriber,
        publishing(server, context) as publisher,
    ):
        with pytest.raises(DataFormatError, match="announces"):
            publisher.publish(bomb, frame.array)
        stranger.connect(server.ingest_endpoint)
        stranger.send_multipart([b"haadf", bomb.model_dump_json().encode(), b"too little"])
        message = subscriber.receive(20)
        assert message is not None
        with pytest.raises(DataFormatError):
            message.frame()


def test_the_sixty_fifth_subscriber_is_told_that_there_is_no_room(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    server = start_data()
    crowd = [context.socket(zmq.DEALER) for _ in range(64)]
    for viewer in crowd:
        viewer.connect("tcp://{}:{}".format(*server.address))
        viewer.send_json({"op": "subscribe", "generation": 1, "streams": [], "mode": "newest", "credit": 1})
        assert viewer.recv() == b"subscribed"
    late = StreamSubscriber(*server.address, mode="newest", context=context, expiry_s=0.5)
    with late:
        with pytest.raises(ServiceUnavailableError, match="no room for another"):
            late.wait_subscribed(1.0)
        crowd[0].send_json({"op": "unsubscribe"})
        late.wait_subscribed(20)
    for viewer in crowd:
        viewer.close(linger=0)


def test_a_missing_server_is_a_typed_error(context: Context) -> None:
    with StreamSubscriber(
        "127.0.0.1", find_free_port(), mode="newest", context=context, expiry_s=0.1
    ) as subscriber:
        with pytest.raises(ServiceUnavailableError, match="No data service answers"):
            subscriber.wait_subscribed(0.1)
        with pytest.raises(ServiceUnavailableError, match="silent"):
            receive_for_ever(subscriber)


def test_closing_a_publisher_frees_the_thread_that_waits_in_it(
    context: Context, make_frame: Callable[..., Frame]
) -> None:
    publisher = StreamPublisher(f"tcp://127.0.0.1:{find_free_port()}", context=context)
    publisher._socket.setsockopt(zmq.LINGER, 0)
    frame = make_frame(0)
    waiting = threading.Event()

    def publish_for_ever() -> None:
        while True:
            waiting.set()
            publisher.publish(frame.header, frame.array)

    with ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(publish_for_ever)
        assert waiting.wait(30)
        publisher.close()
        with pytest.raises(TransportError, match="closed"):
            blocked.result(timeout=10)


def test_closing_and_stopping_twice_is_harmless(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    server = start_data()
    subscriber = StreamSubscriber(*server.address, mode="newest", context=context)
    subscriber.wait_subscribed(10)
    subscriber.close()
    subscriber.close()
    subscriber.acknowledge()
    _, port = server.address
    server.stop()
    server.stop()
    start_data(port=port)
    server.stop()


def test_a_port_in_use_and_an_address_that_is_not_local_are_refused(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    _, port = start_data().address
    with pytest.raises(ConfigurationError, match=f"Port {port} on 127.0.0.1.*data channel, is in use"):
        DataServer(host="127.0.0.1", port=port, ingest_endpoint="inproc://a", context=context)
    with pytest.raises(ConfigurationError, match="without keys"):
        DataServer(host="0.0.0.0", port=0, ingest_endpoint="inproc://b", context=context)  # noqa: S104
    with pytest.raises(ConfigurationError, match="without keys"):
        DataServer(host="127.0.0.1", port=0, ingest_endpoint="tcp://0.0.0.0:0", context=context)
    with pytest.raises(ConfigurationError, match="publishers"):
        DataServer(host="127.0.0.1", port=0, ingest_endpoint=f"tcp://127.0.0.1:{port}", context=context)


@pytest.mark.parametrize("credit", [0, -1, 513])
def test_a_credit_without_sense_is_refused(credit: int) -> None:
    with pytest.raises(ValueError, match="credit"):
        StreamSubscriber("127.0.0.1", 1, mode="newest", credit=credit)
