"""References to shared memory travel in bursts: all in one message, each judged by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import zmq

from eucentric_core import Frame
from eucentric_core.transport import DataServer, StreamPublisher, StreamSubscriber
from eucentric_core.transport._shm_held import HeldSlots, LentSlots, parse_ticket
from eucentric_core.transport._shm_ring import MappedRing, RingWriter
from eucentric_core.transport._zmq_message import EVENT_STREAM

Context = zmq.Context[zmq.Socket[bytes]]
FRAME_BYTES = 64 << 10


@pytest.fixture
def ring() -> Iterator[RingWriter]:
    """A ring of shared memory."""
    with closing(RingWriter(4 << 20)) as writer:
        yield writer


def test_what_waits_for_a_reader_beside_the_server_comes_in_one_message(
    start_data: Callable[..., DataServer], context: Context, make_frame: Callable[..., Frame]
) -> None:
    server = start_data()
    array = np.ones((256, 256), np.uint16)
    made = make_frame(0)
    publisher = StreamPublisher(server.ingest_endpoint, context=context, ring_bytes=16 << 20)
    with closing(HeldSlots()) as held, context.socket(zmq.DEALER) as peer, closing(publisher):
        peer.setsockopt(zmq.LINGER, 0)
        peer.setsockopt(zmq.RCVTIMEO, 10_000)
        peer.connect("tcp://{}:{}".format(*server.address))
        reader = {"name": held.name, "token": held.token}
        peer.send_json(
            {
                "op": "subscribe",
                "generation": 1,
                "streams": [],
                "mode": "lossless",
                "credit": 0,
                "reader": reader,
            }
        )
        assert peer.recv() == b"subscribed"
        for number in range(4):
            header = made.header.model_copy(
                update={"sequence": number, "shape": array.shape, "dtype": "uint16", "axes": ()}
            )
            publisher.publish(header, array)
        kind, name = peer.recv_multipart()
        assert kind == b"ring"
        mapped = MappedRing(name.decode())
        peer.send_json({"op": "mapped", "ring": mapped.name, "token": mapped.token.hex()})
        peer.send_json({"op": "credit", "generation": 1, "messages": 4})
        kind, *references = peer.recv_multipart()
        assert kind == b"slot"
        tickets = [parse_ticket(text) for text in references[::2]]
        assert [stream for stream, _ in tickets] == [header.stream.encode()] * 4
        assert len({ticket.number for _, ticket in tickets}) == 4
        sequences = [type(header).model_validate_json(text).sequence for text in references[1::2]]
        assert sequences == [0, 1, 2, 3]


def test_a_forged_reference_in_a_burst_costs_the_others_nothing_and_gives_its_credit_back(
    context: Context, ring: RingWriter
) -> None:
    with context.socket(zmq.ROUTER) as router:
        router.setsockopt(zmq.LINGER, 0)
        router.setsockopt(zmq.RCVTIMEO, 10_000)
        port = router.bind_to_random_port("tcp://127.0.0.1")
        with StreamSubscriber("127.0.0.1", port, mode="lossless", context=context, credit=8) as subscriber:
            identity, text = router.recv_multipart()
            reader = _json(text)["reader"]
            lent = LentSlots(reader["name"], reader["token"])
            router.send_multipart([identity, b"ring", ring.name.encode()])
            assert _json(router.recv_multipart()[1])["op"] == "mapped"
            reference = ring.put(memoryview(bytes([7]) * FRAME_BYTES))
            assert reference is not None
            stream = EVENT_STREAM.encode()
            forged, good, other = (
                lent.lend(given, FRAME_BYTES, object())
                for given in (reference._replace(generation=99), reference, reference._replace(generation=98))
            )
            assert forged is not None
            assert good is not None
            assert other is not None
            burst = [part for t in (forged, good, other) for part in (t.pack(stream), b"{}")]
            router.send_multipart([identity, b"slot", good.pack(stream)])  # without a header: ignored
            router.send_multipart([identity, b"slot", *burst])
            message = subscriber.receive(10)
            assert message is not None
            assert bytes(message.payload.buffer) == bytes([7]) * FRAME_BYTES
            said: list[object] = []
            while len(said) < 2:
                request = _json(router.recv_multipart()[1])
                if request["op"] == "credit":
                    said.append(request["messages"])
            assert said == [1, 1]
            assert subscriber.receive(0.05) is None


def _json(text: bytes) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(text)
    return parsed
