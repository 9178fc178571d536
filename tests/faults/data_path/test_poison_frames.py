"""Frames that cannot be part of a data set: refused before they leave, or set aside with the reason.

Every case is a session of its own with a good acquisition before and one behind the poison, all of them sent
to one data process, as a driver with a fault would: past the checks of the publisher. Whatever one of them
is, the good ones of all sessions arrive and are registered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import zmq
from pydantic import ValidationError

from eucentric_core import DataFormatError, Frame, FrameHeader, FrameQuarantined, SessionStopped
from eucentric_core.transport import StreamPublisher, StreamSubscriber

from ...frames import build_frame, frame_around
from .chain import Chain, ForkServer, wait_until

SHAPE = (6, 8)
GOOD = (0, 2)
POISONED = 1
SEND_MS = 20_000


@dataclass(frozen=True)
class Poison:
    """Changes of a good frame's header, and the bytes that are sent instead of its array."""

    name: str
    header: dict[str, Any]
    payload: bytes
    fine: bool = False
    """Whether this is a frame like any other after all."""
    raw_header: bytes | None = None
    parts: int = 3
    stream: str = "haadf"


def floats(value: float) -> bytes:
    array = np.ones(SHAPE, dtype="float32")
    array[2, 3] = value
    return array.tobytes()


def of(dtype: str, value: float = 1) -> bytes:
    return np.full(SHAPE, value, dtype=dtype).tobytes()


JUNK = np.random.default_rng(18).bytes(4 * SHAPE[0] * SHAPE[1])
PLAIN = floats(1.0)

POISONS = (
    Poison("a NaN", {}, floats(np.nan)),
    Poison("all NaN", {}, of("float32", np.nan)),
    Poison("plus infinity", {}, floats(np.inf)),
    Poison("minus infinity", {}, floats(-np.inf)),
    Poison("half NaN", {"dtype": "float16"}, of("float16", np.nan)),
    Poison("double infinity", {"dtype": "float64"}, of("float64", np.inf)),
    Poison("all zero", {}, of("float32", 0), fine=True),
    Poison("saturated", {"dtype": "uint16"}, of("uint16", 65535), fine=True),
    Poison("saturated signed", {"dtype": "int32"}, of("int32", 2**31 - 1), fine=True),
    Poison("no dimension", {"shape": [], "axes": []}, of("float32")[:4]),
    Poison("no rows", {"shape": [0, 8]}, b""),
    Poison("no columns", {"shape": [6, 0]}, b""),
    Poison("five dimensions", {"shape": [1, 1, 1, 6, 8], "axes": []}, PLAIN),
    Poison("ten gigabytes announced", {"shape": [100_000, 100_000], "dtype": "uint8"}, PLAIN),
    Poison("two gigabytes in a few bytes", {"shape": [23_170, 23_170], "dtype": "float32"}, b"small"),
    Poison("one gigabyte announced", {"shape": [16_384, 16_384]}, PLAIN),
    Poison("a negative size", {"shape": [-6, -8]}, PLAIN),
    Poison("an enormous size", {"shape": [2**62, 2**62], "dtype": "uint8"}, PLAIN),
    Poison("big-endian", {"dtype": ">f4"}, of(">f4")),
    Poison("complex", {"dtype": "complex64"}, of("complex64")),
    Poison("objects", {"dtype": "object"}, PLAIN),
    Poison("objects by letter", {"dtype": "O"}, PLAIN),
    Poison("text", {"dtype": "U4"}, PLAIN),
    Poison("dates", {"dtype": "datetime64[s]"}, PLAIN),
    Poison("records", {"dtype": "f4,f4"}, PLAIN),
    Poison("extended floats", {"dtype": "float128"}, of("float128")),
    Poison("truth values", {"dtype": "bool"}, of("bool")),
    Poison("too few bytes", {}, PLAIN[:-1]),
    Poison("too many bytes", {}, PLAIN + b"\0"),
    Poison("no bytes", {}, b""),
    Poison("junk in place of floats", {}, JUNK[:-4] + np.float32(np.nan).tobytes()),
    Poison("another shape within a scan", {"shape": [5, 8], "scan": 0}, of("float32")[: 4 * 40]),
    Poison("another type within a scan", {"dtype": "uint16", "scan": 0}, of("uint16")),
    Poison("axes for another shape", {"axes": [{"name": "x", "unit": "m", "scale": 1e-11}]}, PLAIN),
    Poison("an axis without a length", {"axes": [{"name": n, "unit": "m", "scale": 0} for n in "yx"]}, PLAIN),
    Poison("another stream in the header", {"stream": "eels"}, PLAIN),
    Poison("another session's path", {"session": "../../etc"}, PLAIN),
    Poison("a device as instrument", {"instrument": "CON"}, PLAIN),
    Poison("a version that is not there yet", {"schema_version": 99}, PLAIN),
    Poison("a field nobody knows", {"surprise": 1}, PLAIN),
    Poison("a time without a zone", {"acquired_utc": "2026-11-26T12:00:00"}, PLAIN),
    Poison("a sequence number below zero", {"sequence": -1}, PLAIN),
    Poison("a sequence number beyond belief", {"sequence": 2**40}, PLAIN),
    Poison("a sequence number beyond SQLite", {"sequence": 2**63}, PLAIN),
    Poison("a sequence number that is none", {"sequence": "one"}, PLAIN),
    Poison("a dose that is not a number", {}, PLAIN, raw_header=b'{"dose_e_per_a2": NaN}'),
    Poison("no JSON", {}, PLAIN, raw_header=b"\x00\xff\x00 not json"),
    Poison("no header", {}, PLAIN, raw_header=b""),
    Poison("a list as header", {}, PLAIN, raw_header=b"[1, 2]"),
    Poison("a header of a hundred thousand brackets", {}, PLAIN, raw_header=b"[" * 100_000),
    Poison("a header of eight mebibytes", {"vendor_metadata": {"note": "x" * (8 << 20)}}, PLAIN),
    Poison("a message without an array", {}, PLAIN, parts=2),
    Poison("a message with a part too many", {}, PLAIN, parts=4),
    Poison("a stream that is no text", {}, PLAIN, stream="\xff\xfe"),
    Poison("a stream with a path for a name", {"stream": "../x"}, PLAIN, stream="../x"),
    Poison("an event that is none", {}, b"", raw_header=b'{"kind": "no.such"}', stream="events"),
)


def session_of(poison: Poison) -> str:
    return f"case-{POISONS.index(poison)}"


def good(sequence: int, poison: Poison) -> Frame:
    scan: dict[str, Any] = {"scan": 0} if poison.header.get("scan") is not None else {}
    return build_frame(sequence, shape=SHAPE, session=session_of(poison), **scan)


def message_of(poison: Poison) -> list[bytes]:
    plain = good(POISONED, poison).header.model_dump(mode="json")
    header = poison.raw_header
    if header is None:
        header = json.dumps({**plain, **poison.header}).encode()
    return [poison.stream.encode("latin-1"), header, poison.payload, b"more"][: poison.parts]


@dataclass
class Laid:
    """What came of all the sessions."""

    chain: Chain
    quarantined: list[FrameQuarantined]

    def numbers(self, session: str) -> list[int]:
        with self.chain.catalogue() as catalogue:
            return [frame.header.sequence for frame in catalogue.frames(session, "haadf")]


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer) -> Iterator[Laid]:
    """All sessions recorded, shipped and registered."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    events: list[FrameQuarantined] = []
    try:
        with Chain(tmp_path_factory.mktemp("poison"), forks) as chain:
            repository, recorder = chain.start_repository(), chain.start_recorder()
            port = chain.settings.agent.data_port
            with StreamSubscriber(
                "127.0.0.1", port, streams=["events"], mode="lossless", context=context
            ) as listener:
                listener.wait_subscribed(20)
                send_all(context, chain.ingest_port, lambda: heard(listener, events))

                def everything_arrived() -> bool:
                    heard(listener, events)
                    assert not recorder.ended, recorder.log.read_text()
                    return sum(entry.state == "complete" for entry in chain.datasets()) >= len(POISONS)

                wait_until(everything_arrived, "all sessions arrive")
                heard(listener, events)
            yield Laid(chain, events)
            for service in (recorder, repository):
                service.stop()
                assert service.status == 0, service.log.read_text()
    finally:
        context.destroy(linger=0)


def send_all(context: zmq.Context[zmq.Socket[bytes]], port: int, listen: Callable[[], None]) -> None:
    """Three acquisitions of each session, of which the second is poisoned, and the session's end."""
    raw = context.socket(zmq.PUSH)
    raw.setsockopt(zmq.SNDTIMEO, SEND_MS)
    raw.connect(f"tcp://127.0.0.1:{port}")
    for poison in POISONS:
        for sequence in range(3):
            if sequence == POISONED:
                raw.send_multipart(message_of(poison))
            else:
                frame = good(sequence, poison)
                raw.send_multipart([b"haadf", frame.header.model_dump_json().encode(), frame.array.tobytes()])
        over = SessionStopped(source="agent", instrument="twin", session=session_of(poison), frames=3)
        raw.send_multipart([b"events", over.model_dump_json().encode(), b""])
        listen()
    raw.close(linger=SEND_MS)


def heard(listener: StreamSubscriber, events: list[FrameQuarantined]) -> None:
    while (message := listener.receive(0.0)) is not None:
        listener.acknowledge()
        try:
            event = message.event()
        except DataFormatError:
            continue
        if isinstance(event, FrameQuarantined):
            events.append(event)


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.name)
def test_the_good_frames_around_a_poisoned_one_are_registered(laid: Laid, poison: Poison) -> None:
    expected = [0, POISONED, 2] if poison.fine else list(GOOD)
    assert laid.numbers(session_of(poison)) == expected
    with laid.chain.catalogue() as catalogue:
        (dataset,) = [d for d in catalogue.datasets() if d.session == session_of(poison)]
    assert (dataset.state, dataset.missing) == ("complete", 0 if poison.fine else 1)


# What the data server itself drops: without a stream there is nobody to send it to.
DROPPED = {"a message without an array", "a message with a part too many", "a stream that is no text"}


@pytest.mark.parametrize(
    "poison",
    [p for p in POISONS if not p.fine and p.name not in DROPPED and p.stream != "events"],
    ids=lambda poison: poison.name,
)
def test_a_poisoned_frame_is_set_aside_with_its_reason(laid: Laid, poison: Poison) -> None:
    kept = [p for p in (laid.chain.recording / "quarantine").rglob("*") if p.is_file()]
    readable = poison.raw_header is None and poison.header.keys().isdisjoint({"session", "instrument"})
    if readable:
        mine = [event for event in laid.quarantined if event.session == session_of(poison)]
        assert len(mine) == 1, "nobody was told"
        assert mine[0].error.what
        assert mine[0].error.safe
        assert mine[0].error.next_step
    assert kept


@pytest.mark.parametrize(
    ("array", "header"),
    [
        (np.ones(SHAPE, dtype="complex64"), {}),
        (np.ones(SHAPE, dtype=object), {}),
        (np.ones(SHAPE, dtype=">f4"), {"dtype": "float32"}),
        (np.ones(SHAPE, dtype="float64"), {"dtype": "float32"}),
        (np.ones((5, 8), dtype="float32"), {"shape": SHAPE}),
        (np.ones((1, 1, 1, 2, 2), dtype="float32"), {}),
        (np.ones(SHAPE, dtype="datetime64[s]"), {}),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_what_does_not_fit_its_header_is_refused_before_it_leaves(array: Any, header: dict[str, Any]) -> None:
    with pytest.raises((DataFormatError, ValidationError)):
        frame_around(array, 0, **header)


def test_a_publisher_refuses_what_its_header_does_not_announce() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    publisher = StreamPublisher("tcp://127.0.0.1:9", context=context, timeout_s=0.1)
    header: FrameHeader = build_frame(0, shape=SHAPE).header
    for array in (np.ones((3, 3), "float32"), np.ones(SHAPE, "float64"), np.ones(SHAPE, ">f4")):
        with pytest.raises(DataFormatError):
            publisher.publish(header, array)
    publisher.close()
    context.destroy(linger=0)
