"""Large frames leave the machine in pieces: granted, acknowledged, complete. Who waits can be seen."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zmq

from eucentric_core import DataFormatError, Frame
from eucentric_core.transport import DataServer, Pacer, StreamPublisher, StreamSubscriber
from eucentric_core.transport._zmq_chunks import ChunkAssembler

from ..frames import frame_around

Context = zmq.Context[zmq.Socket[bytes]]
LINE_BYTES_S = 20e6


def large(sequence: int, size_px: int = 512) -> Frame:
    """A frame of more than one piece, whose pixels differ."""
    pixels = np.arange(size_px * size_px, dtype=np.uint32).reshape(size_px, size_px)
    return frame_around((pixels + sequence).astype(np.uint16), sequence)


def publish_all(publisher: StreamPublisher, frames: list[Frame]) -> None:
    """One after the other."""
    for frame in frames:
        publisher.publish(frame.header, frame.array)


class Listening(Pacer):
    """A pacer at a fixed rate that keeps what it was told."""

    def __init__(self) -> None:
        super().__init__(LINE_BYTES_S, mode="fixed")
        self.round_trips_s: list[float] = []

    def observe_rtt(self, rtt_s: float, source: Any = None) -> None:
        """Keep it."""
        self.round_trips_s.append(rtt_s)


@pytest.fixture
def pacer() -> Listening:
    """The pacer of the server."""
    return Listening()


@pytest.fixture
def server(start_data: Callable[..., DataServer], pacer: Listening) -> DataServer:
    """A server that takes every subscriber for one on another machine."""
    return start_data(pacer=pacer, leaves_machine=lambda _line: True)


@pytest.fixture
def publisher(server: DataServer, context: Context) -> Any:
    """A publisher with shared memory."""
    publisher = StreamPublisher(server.ingest_endpoint, context=context, timeout_s=20, ring_bytes=16 << 20)
    yield publisher
    publisher.close()


def test_frames_arrive_whole_and_in_order_at_the_rate_that_was_granted(
    server: DataServer, publisher: StreamPublisher, context: Context, pacer: Listening
) -> None:
    with StreamSubscriber(
        *server.address, mode="lossless", context=context, shared_memory=False
    ) as subscriber:
        subscriber.wait_subscribed(20)
        frames = [large(number) for number in range(8)]
        sending = threading.Thread(target=publish_all, args=(publisher, frames))
        sending.start()
        for sent in frames:
            message = subscriber.receive(20)
            assert message is not None
            subscriber.acknowledge()
            assert message.frame().header == sent.header
            np.testing.assert_array_equal(message.frame().array, sent.array)
            with pytest.raises(ValueError, match="read-only"):
                message.frame().array[0, 0] = 1
        sending.join()
    assert pacer.status().taken_bytes == sum(frame.array.nbytes for frame in frames)
    assert pacer.status().held_back_s > 0
    assert len(pacer.round_trips_s) >= 8
    assert all(round_trip_s > 0 for round_trip_s in pacer.round_trips_s)


def test_a_viewer_skips_between_frames_and_never_inside_one(
    server: DataServer, publisher: StreamPublisher, context: Context
) -> None:
    with StreamSubscriber(
        *server.address, mode="newest", credit=2, context=context, shared_memory=False
    ) as viewer:
        viewer.wait_subscribed(20)
        count = 40
        for number in range(count):
            frame = large(number)
            publisher.publish(frame.header, frame.array)
        seen: list[int] = []
        while not seen or seen[-1] < count - 1:
            message = viewer.receive(20)
            assert message is not None
            viewer.acknowledge()
            frame = message.frame()
            np.testing.assert_array_equal(frame.array, large(frame.header.sequence).array)
            seen.append(frame.header.sequence)
    assert seen == sorted(set(seen))
    assert len(seen) < count


def test_what_is_not_acknowledged_bounds_what_is_on_its_way(
    server: DataServer, publisher: StreamPublisher, context: Context
) -> None:
    silent = context.socket(zmq.DEALER)
    silent.setsockopt(zmq.LINGER, 0)
    silent.connect("tcp://{}:{}".format(*server.address))
    silent.send_json({"op": "subscribe", "generation": 1, "streams": [], "mode": "lossless", "credit": 500})
    assert silent.recv() == b"subscribed"
    for number in range(12):
        frame = large(number, size_px=1024)
        publisher.publish(frame.header, frame.array)
    received, mark = 0, b""
    while silent.poll(500):
        _, mark, chunk, *_ = silent.recv_multipart()
        received += len(chunk)
    assert 0 < received < (4 << 20) + (256 << 10)
    transfer, offset, _ = struct.unpack("<QQQ", mark)
    silent.send_json({"op": "chunk", "generation": 1, "number": transfer, "until": offset + len(chunk)})
    assert silent.poll(20_000)
    silent.close()


def marked(number: int, offset: int, n_bytes: int) -> bytes:
    """What comes before a chunk."""
    return struct.pack("<QQQ", number, offset, n_bytes)


@pytest.mark.parametrize(
    ("mark", "chunk"),
    [
        (b"", b"x"),
        (b"\xff" * 24, b"x"),
        (marked(1, 4, 8), b"x" * 5),
        (marked(1, 5, 8), b"x"),
        (marked(1, 4, 9), b"x"),
        (marked(2, 4, 8), b"x"),
        (marked(1, 4, 8), b""),
        (marked(2, 0, 0), b""),
        (marked(2, 0, 1 << 62), b"x"),
    ],
)
def test_a_chunk_that_does_not_continue_what_came_before_is_refused_and_the_next_frame_is_whole(
    mark: bytes, chunk: bytes
) -> None:
    assembler = ChunkAssembler()
    first = (zmq.Frame(b"haadf"), zmq.Frame(b"{}"))
    assert assembler.take(marked(1, 0, 8), zmq.Frame(b"abcd"), *first)[2] is None
    with pytest.raises(DataFormatError, match="does not belong"):
        assembler.take(mark, zmq.Frame(chunk))
    with pytest.raises(DataFormatError, match="does not belong"):
        assembler.take(marked(1, 4, 8), zmq.Frame(b"efgh"))
    assembler.take(marked(3, 0, 8), zmq.Frame(b"1234"), *first)
    *_, complete = assembler.take(marked(3, 4, 8), zmq.Frame(b"5678"))
    assert complete is not None
    assert bytes(complete[2].buffer) == b"12345678"


def test_the_server_says_who_holds_the_source_back(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    server = start_data()
    publisher = StreamPublisher(server.ingest_endpoint, context=context, timeout_s=20)
    with (
        StreamSubscriber(*server.address, mode="lossless", credit=1, context=context) as slow,
        StreamSubscriber(*server.address, mode="newest", context=context, streams=["haadf"]) as viewer,
    ):
        slow.wait_subscribed(20)
        viewer.wait_subscribed(20)
        for number in range(33):
            frame = large(number, size_px=16)
            publisher.publish(frame.header, frame.array)
        deadline_s = time.monotonic() + 20
        while not any(s.holds_back_s for s in server.status().subscribers):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        by_mode = {subscriber.mode: subscriber for subscriber in server.status().subscribers}
        assert by_mode["lossless"].backlog_messages == 32
        assert by_mode["lossless"].credit == 0
        assert by_mode["lossless"].address == "127.0.0.1"
        assert by_mode["newest"].holds_back_s is None
        assert by_mode["newest"].streams == ("haadf",)
        for _ in range(33):
            assert slow.receive(20) is not None
            slow.acknowledge()
        while any(s.holds_back_s for s in server.status().subscribers):
            time.sleep(0.01)
        status = server.status()
        assert status.held_back_s > 0
        assert status.received_messages == 33
        assert sum(s.delivered_messages for s in status.subscribers) > 33
    publisher.close()
