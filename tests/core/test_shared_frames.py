"""Frames lie where every reader on the machine sees them; no death, greed or forgery takes them away."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from eucentric_core import Frame, ServiceUnavailableError, TransportError, crc32c
from eucentric_core.transport import DataServer, StreamMessage, StreamPublisher, StreamSubscriber
from eucentric_core.transport._shm_file import (
    SharedFile,
    SharedMemoryError,
    shared_folder,
    sweep_shared_files,
)
from eucentric_core.transport._shm_held import HeldSlots, LentSlots
from eucentric_core.transport._shm_ring import MappedRing, RingWriter, SlotReference
from eucentric_core.transport._zmq_lodger import SlotLodger
from eucentric_core.transport._zmq_slots import SharedSlot

from ..frames import frame_around

Context = zmq.Context[zmq.Socket[bytes]]
RING_BYTES = 16 << 20
SHAPE = (512, 512)
FRAME_BYTES = 512 * 512 * 2
PATIENCE_S = 20.0

pytestmark = pytest.mark.skipif(os.name == "nt", reason="looks at the folder that shared memory lies in")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that no other program's shared memory lies in."""
    monkeypatch.setenv("EUCENTRIC_SHARED_MEMORY", str(tmp_path))


def numbered(sequence: int) -> Frame:
    """A frame whose pixels are its number."""
    return frame_around(np.full(SHAPE, sequence, np.uint16), sequence)


def shared_files() -> set[Path]:
    """What lies there now."""
    return set(shared_folder().glob("eucentric-*"))


def eventually(what: Callable[[], object]) -> bool:
    """Whether it becomes true."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not what():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def publishing(
    server: DataServer, context: Context, ring_bytes: int = RING_BYTES
) -> Iterator[StreamPublisher]:
    """A publisher with a ring."""
    publisher = StreamPublisher(
        server.ingest_endpoint, context=context, timeout_s=PATIENCE_S, ring_bytes=ring_bytes
    )
    try:
        yield publisher
    finally:
        publisher.close()


@contextmanager
def subscribed(server: DataServer, context: Context, **options: Any) -> Iterator[StreamSubscriber]:
    """A confirmed lossless subscription."""
    options = {"expiry_s": 0.5, **options}
    with StreamSubscriber(*server.address, mode="lossless", context=context, **options) as subscriber:
        subscriber.wait_subscribed(PATIENCE_S)
        yield subscriber


def next_frame(subscriber: StreamSubscriber) -> Frame:
    """The next frame, acknowledged."""
    message = subscriber.receive(PATIENCE_S)
    assert message is not None
    subscriber.acknowledge()
    return message.frame()


def lies_in_shared_memory(frame: Frame) -> bool:
    """Whether the array is a view of a mapped file, and no copy."""
    base: Any = frame.array
    while getattr(base, "base", None) is not None or isinstance(base, memoryview):
        base = base.obj if isinstance(base, memoryview) else base.base
        if type(base).__name__ == "mmap":
            return True
    return False


def exchange(publisher: StreamPublisher, subscriber: StreamSubscriber, sequence: int) -> Frame:
    """Send one frame and have it."""
    frame = numbered(sequence)
    publisher.publish(frame.header, frame.array)
    got = next_frame(subscriber)
    assert got.header.sequence == sequence
    np.testing.assert_array_equal(got.array, frame.array)
    return got


def warm_up(publisher: StreamPublisher, subscriber: StreamSubscriber) -> int:
    """Exchange frames until they come through shared memory; the next number."""
    for sequence in range(1000):
        if lies_in_shared_memory(exchange(publisher, subscriber, sequence)):
            return sequence + 1
    raise AssertionError("no frame came through shared memory")


def test_a_reader_on_this_machine_has_frames_where_they_lie_and_cannot_change_them(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    server = start_data()
    with subscribed(server, context) as subscriber, publishing(server, context) as publisher:
        number = warm_up(publisher, subscriber)
        frame = exchange(publisher, subscriber, number)
        assert lies_in_shared_memory(frame)
        with pytest.raises(ValueError, match="read-only"):
            frame.array[0, 0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            frame.array.base.flags.writeable = True  # type: ignore[union-attr]


def test_who_is_not_asked_or_not_on_this_machine_gets_the_same_frames_through_the_socket(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    server = start_data()
    with (
        subscribed(server, context) as local,
        subscribed(server, context, shared_memory=False) as remote,
        publishing(server, context) as publisher,
    ):
        for sequence in range(100):
            exchange(publisher, local, sequence)
            frame = next_frame(remote)
            assert frame.header.sequence == sequence
            assert (frame.array == sequence).all()
            assert not lies_in_shared_memory(frame)


@pytest.mark.parametrize("shared_memory", [True, False])
def test_a_frame_in_shared_memory_comes_with_the_checksum_that_its_source_has_made(
    start_data: Callable[..., DataServer], context: Context, *, shared_memory: bool
) -> None:
    server = start_data()
    with (
        subscribed(server, context, shared_memory=shared_memory) as subscriber,
        publishing(server, context) as publisher,
    ):
        frame = numbered(warm_up(publisher, subscriber) if shared_memory else 0)
        publisher.publish(frame.header, frame.array)
        message = subscriber.receive(PATIENCE_S)
        assert message is not None
        assert message.crc32c == (crc32c(frame.array.tobytes()) if shared_memory else None)


def test_an_array_that_is_kept_stays_as_it_is_however_many_frames_follow(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    server = start_data()
    with subscribed(server, context) as subscriber, publishing(server, context) as publisher:
        number = warm_up(publisher, subscriber)
        corner = exchange(publisher, subscriber, number).array[:4, :4]
        for sequence in range(number + 1, number + 1 + 3 * RING_BYTES // FRAME_BYTES):
            exchange(publisher, subscriber, sequence)
        assert (corner == number).all()
    assert (corner == number).all()  # the subscription has ended, the array is still the user's


def test_slots_come_back_and_frames_stay_in_shared_memory(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    server = start_data()
    with subscribed(server, context) as subscriber, publishing(server, context) as publisher:
        number = warm_up(publisher, subscriber)
        for sequence in range(number, number + 5 * RING_BYTES // FRAME_BYTES):
            assert lies_in_shared_memory(exchange(publisher, subscriber, sequence))
        assert eventually(lambda: server.status().slots_lent <= 1)


def test_a_hoarder_gets_copies_and_holds_nobody_up(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    server = start_data()
    with (
        subscribed(server, context) as hoarder,
        subscribed(server, context) as other,
        publishing(server, context) as publisher,
    ):
        hoard: list[Frame] = []
        count = 3 * RING_BYTES // FRAME_BYTES
        for sequence in range(count):
            exchange(publisher, other, sequence)
            hoard.append(next_frame(hoarder))
        assert [frame.header.sequence for frame in hoard] == list(range(count))
        assert all((frame.array == frame.header.sequence).all() for frame in hoard)
        shared = sum(map(lies_in_shared_memory, hoard))
        assert 0 < shared * FRAME_BYTES <= RING_BYTES // 4
        assert lies_in_shared_memory(exchange(publisher, other, count))


def test_a_full_ring_and_a_frame_too_large_for_it_go_through_the_socket(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    server = start_data()
    frames = 8
    with publishing(server, context, ring_bytes=4 * FRAME_BYTES) as publisher:
        hoarders = [StreamSubscriber(*server.address, mode="lossless", context=context) for _ in range(4)]
        for hoarder in hoarders:
            hoarder.wait_subscribed(PATIENCE_S)
        kept: list[Frame] = []
        for sequence in range(frames):
            frame = numbered(sequence)
            publisher.publish(frame.header, frame.array)
            kept += [next_frame(hoarder) for hoarder in hoarders]
        large = frame_around(np.ones((1024, 1024), np.uint16), frames)
        publisher.publish(large.header, large.array)
        kept += [next_frame(hoarder) for hoarder in hoarders]
        for hoarder in hoarders:
            hoarder.close()
    assert [f.header.sequence for f in kept] == [number for number in range(frames + 1) for _ in range(4)]
    assert all((f.array == min(f.header.sequence, 10**6)).all() for f in kept[: 4 * frames])


def test_nothing_is_left_in_the_folder(start_data: Callable[..., DataServer], context: Context) -> None:
    server = start_data()
    with subscribed(server, context) as subscriber, publishing(server, context) as publisher:
        warm_up(publisher, subscriber)
        assert len(shared_files()) == 2
    assert not shared_files()


# Processes that are killed.


def _drive(said: Connection, ingest: str) -> None:
    context: Context = zmq.Context()
    publisher = StreamPublisher(ingest, context=context, ring_bytes=RING_BYTES)
    while True:
        frame = numbered(said.recv())
        publisher.publish(frame.header, frame.array)
        said.send("sent")


def _read(said: Connection, host: str, port: int, keep: int) -> None:
    subscriber = StreamSubscriber(host, port, mode="lossless", expiry_s=0.5)
    subscriber.wait_subscribed(PATIENCE_S)
    said.send("subscribed")
    kept: list[Frame] = []
    while True:
        message = subscriber.receive(PATIENCE_S)
        if message is None:
            return
        frame = message.frame()
        if lies_in_shared_memory(frame) and len(kept) < keep:
            kept.append(frame)
        subscriber.acknowledge()
        said.send((frame.header.sequence, len(kept), int(kept[0].array[0, 0]) if kept else None))
        del message, frame


def _serve(said: Connection, port: int, ingest_port: int) -> None:
    context: Context = zmq.Context()
    server = DataServer(
        host="127.0.0.1", port=port, ingest_endpoint=f"tcp://127.0.0.1:{ingest_port}", context=context
    )
    said.send((server.address[1], server.ingest_endpoint))
    server.serve()


@contextmanager
def process(target: Callable[..., None], *details: Any) -> Iterator[tuple[Connection, int]]:
    """A process and a pipe to it, killed at the end."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    running = spawn.Process(target=target, args=(there, *details), daemon=True)
    running.start()
    there.close()
    try:
        assert running.pid is not None
        yield here, running.pid
    finally:
        running.kill()
        running.join()
        here.close()


def kill(pid: int) -> None:
    """As if the power went: no handler runs."""
    os.kill(pid, signal.SIGKILL)


def test_a_killed_producer_leaves_its_frames_to_the_readers_and_no_file(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    server = start_data(expiry_s=0.5)
    with (
        subscribed(server, context) as subscriber,
        process(_drive, server.ingest_endpoint) as (driver, pid),
    ):
        kept: Frame | None = None
        for sequence in range(1000):
            driver.send(sequence)
            assert driver.recv() == "sent"
            kept = next_frame(subscriber)
            if lies_in_shared_memory(kept):
                break
        assert kept is not None
        assert lies_in_shared_memory(kept)
        kill(pid)
        own = {subscriber._slots._held.name} if subscriber._slots._held else set()
        assert eventually(lambda: {path.name for path in shared_files()} <= own)
        assert (kept.array == kept.header.sequence).all()
        with publishing(server, context) as successor:
            for sequence in range(2000, 2010):
                exchange(successor, subscriber, sequence)


def test_a_killed_reader_gives_its_slots_back(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    server = start_data(expiry_s=0.5)
    with (
        publishing(server, context) as publisher,
        process(_read, *server.address, 3) as (reader, pid),
    ):
        assert reader.recv() == "subscribed"
        held = 0
        for sequence in range(1000):
            frame = numbered(sequence)
            publisher.publish(frame.header, frame.array)
            _, held, _ = reader.recv()
            if held == 3:
                break
        assert held == 3
        assert server.status().slots_lent >= 3
        kill(pid)
        assert eventually(lambda: server.status().slots_lent == 0)
        assert eventually(lambda: len(shared_files()) == 1)


def test_a_reader_that_only_does_not_answer_keeps_what_it_holds(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    server = start_data(expiry_s=0.5)
    with (
        publishing(server, context) as publisher,
        subscribed(server, context) as other,
        process(_read, *server.address, 1) as (reader, pid),
    ):
        assert reader.recv() == "subscribed"
        sequence, held, value = -1, 0, None
        while not held:
            sequence += 1
            exchange(publisher, other, sequence)
            _, held, value = reader.recv()
        assert value == sequence
        os.kill(pid, signal.SIGSTOP)
        assert eventually(lambda: len(server.status().subscribers) == 1)
        for number in range(2 * RING_BYTES // FRAME_BYTES):
            exchange(publisher, other, 5000 + number)
        os.kill(pid, signal.SIGCONT)
        assert eventually(lambda: len(server.status().subscribers) == 2)
        exchange(publisher, other, 9999)
        last = reader.recv()
        while last[0] != 9999:
            last = reader.recv()
        assert last[2] == value  # nobody has written over the array that it kept


def test_after_a_killed_server_the_next_one_goes_on_with_a_new_ring(context: Context) -> None:
    with process(_serve, 0, 0) as (first, first_pid), ExitStack() as opened:
        port, ingest = first.recv()
        publisher = StreamPublisher(ingest, context=context, timeout_s=PATIENCE_S, ring_bytes=RING_BYTES)
        opened.callback(publisher.close)
        subscriber = opened.enter_context(
            StreamSubscriber("127.0.0.1", port, mode="lossless", context=context, expiry_s=0.5)
        )
        subscriber.wait_subscribed(PATIENCE_S)
        number = warm_up(publisher, subscriber)
        kept = exchange(publisher, subscriber, number)
        kill(first_pid)
        second, _ = opened.enter_context(process(_serve, port, int(ingest.rpartition(":")[2])))
        second.recv()
        message = None
        while message is None:  # what is sent before the subscription is renewed is not for us
            number += 1
            frame = numbered(number)
            publisher.publish(frame.header, frame.array)
            message = receive_if_served(subscriber, 0.1)
        subscriber.acknowledge()
        while subscriber.receive(0.5) is not None:
            subscriber.acknowledge()
        del message
        following = warm_up(publisher, subscriber)
        assert lies_in_shared_memory(exchange(publisher, subscriber, following))
        assert (kept.array == kept.header.sequence).all()


def test_slots_that_a_killed_server_never_took_hold_nobody_up(context: Context) -> None:
    with process(_serve, 0, 0) as (first, first_pid), ExitStack() as opened:
        port, ingest = first.recv()
        publisher = StreamPublisher(ingest, context=context, timeout_s=1.0, ring_bytes=RING_BYTES)
        opened.callback(publisher.close)
        subscriber = opened.enter_context(
            StreamSubscriber("127.0.0.1", port, mode="lossless", credit=1, context=context, expiry_s=0.5)
        )
        subscriber.wait_subscribed(PATIENCE_S)
        number = warm_up(publisher, subscriber)
        number = fill(publisher, number)
        kill(first_pid)
        second, _ = opened.enter_context(process(_serve, port, int(ingest.rpartition(":")[2])))
        second.recv()
        publisher.start_anew()
        received = 0
        for following in range(number, number + 40):
            frame = small(following)
            publisher.publish(frame.header, frame.array)
            while receive_if_served(subscriber, 0.05) is not None:
                subscriber.acknowledge()
                received += 1
        assert received


def small(sequence: int) -> Frame:
    """A frame of which the ring holds more than are ever on their way."""
    return frame_around(np.full((256, 256), sequence % 256, np.uint8), sequence)


def fill(publisher: StreamPublisher, number: int) -> int:
    """Publish until nobody takes any more; the next number."""
    with suppress(TransportError):
        for _ in range(200):
            frame = small(number)
            publisher.publish(frame.header, frame.array)
            number += 1
        raise AssertionError("nobody holds the publisher back")
    return number


def receive_if_served(subscriber: StreamSubscriber, timeout_s: float) -> StreamMessage | None:
    """The next message; None also while the server is away."""
    try:
        return subscriber.receive(timeout_s)
    except ServiceUnavailableError:
        return None


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_lets_go_of_nothing(ring: RingWriter) -> None:
    reference = put(ring, 7)
    server = MappedRing(ring.name, server=b"s" * 16)
    slot = SharedSlot(server, reference)
    held = HeldSlots()
    lent = LentSlots(held.name, held.token)
    ticket = lent.lend(reference, slot.n_bytes, slot)
    assert ticket is not None
    view = MappedRing(ring.name).view(reference)
    held.hold(ticket, view)
    kept = view[:10]
    del slot
    child = os.fork()
    if child == 0:
        del view, kept, held
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    lent.take_back()
    assert len(lent) == 1
    assert (shared_folder() / held.name).exists()
    put(ring, 99)
    assert (kept == 7).all()
    del view, kept
    lent.take_back()
    assert len(lent) == 0
    held.close()


# What is forged or damaged.


@pytest.fixture
def ring() -> Iterator[RingWriter]:
    """A ring of four frames."""
    writer = RingWriter(4 * FRAME_BYTES)
    yield writer
    writer.close()


def put(ring: RingWriter, value: int = 7) -> SlotReference:
    """A frame in a ring."""
    reference = ring.put(np.full(FRAME_BYTES, value, np.uint8).data)
    assert reference is not None
    return reference


def corrupt(ring: RingWriter, at: int, new: bytes) -> None:
    """Write into a ring's file."""
    with (shared_folder() / ring.name).open("r+b") as file:
        file.seek(at)
        file.write(new)


def record_at(slot: int) -> int:
    """Where the record of a slot begins."""
    return 4096 + 24 * slot


@pytest.mark.parametrize(
    "offset", [0, 4096, (64 << 10) - 1, (64 << 10) + 4 * FRAME_BYTES - 1, 2**63, 2**64 - 1]
)
def test_a_slot_that_reaches_beyond_the_ring_is_refused(ring: RingWriter, offset: int) -> None:
    reference = put(ring)
    corrupt(ring, record_at(reference.slot) + 8, offset.to_bytes(8, "little"))
    with pytest.raises(SharedMemoryError, match="beyond the ring"):
        MappedRing(ring.name).view(reference)


@pytest.mark.parametrize("n_bytes", [4 * FRAME_BYTES + 1, 2**40, 2**64 - 1])
def test_a_slot_that_is_longer_than_the_ring_is_refused(ring: RingWriter, n_bytes: int) -> None:
    reference = put(ring)
    corrupt(ring, record_at(reference.slot) + 16, n_bytes.to_bytes(8, "little"))
    with pytest.raises(SharedMemoryError, match="beyond the ring"):
        MappedRing(ring.name).view(reference)


def test_a_slot_that_holds_something_else_by_now_is_refused(ring: RingWriter) -> None:
    reference = put(ring)
    server = MappedRing(ring.name, server=b"s" * 16)
    for wrong in (reference._replace(generation=reference.generation + 1), reference._replace(generation=0)):
        with pytest.raises(SharedMemoryError, match="something else"):
            server.view(wrong)
        with pytest.raises(SharedMemoryError, match="something else"):
            server.take(wrong)
    server.take(reference)
    with pytest.raises(SharedMemoryError, match="not handed over"):
        server.take(reference)


@pytest.mark.parametrize(
    "name",
    ["", "passwd", "../../etc/passwd", "eucentric-ring-" + "g" * 32, "eucentric-ring-" + "0" * 32, "a\0b"],
)
def test_a_name_that_is_no_rings_opens_nothing(name: str) -> None:
    with pytest.raises(SharedMemoryError):
        MappedRing(name)


def test_a_link_in_the_folder_is_not_followed(ring: RingWriter) -> None:
    link = shared_folder() / ("eucentric-ring-" + "f" * 32)
    link.symlink_to(shared_folder() / ring.name)
    try:
        with pytest.raises(SharedMemoryError, match="cannot be opened"):
            MappedRing(link.name)
    finally:
        link.unlink()


def test_a_forged_reference_from_a_publisher_is_dropped_and_the_rest_flows(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    server = start_data()
    with (
        subscribed(server, context) as subscriber,
        publishing(server, context) as publisher,
        context.socket(zmq.PUSH) as forger,
    ):
        number = warm_up(publisher, subscriber)
        forger.connect(server.ingest_endpoint)
        name = publisher._ring.name if publisher._ring else ""
        for reference in (
            SlotReference(name, 0, 999).pack(),
            SlotReference(name, 2000, 1).pack(),
            SlotReference(name, 4000, 1).pack(),
            SlotReference("eucentric-ring-" + "0" * 32, 0, 1).pack(),
            SlotReference("../../etc/passwd", 0, 1).pack(),
            b"short",
            b"\xff" * 200,
        ):
            forger.send_multipart([reference + b"haadf", numbered(1).header.model_dump_json().encode()])
        for sequence in range(number, number + 10):
            exchange(publisher, subscriber, sequence)


def test_a_forged_ticket_is_refused_and_the_slot_given_back(ring: RingWriter) -> None:
    reference = put(ring)
    lodger = SlotLodger(enabled=True)
    file = lodger.renew()
    assert file is not None
    lent = LentSlots(file.name, file.token)
    assert lodger.map_ring(ring.name.encode()) is not None
    ticket = lent.lend(reference._replace(generation=99), FRAME_BYTES, object())
    assert ticket is not None
    assert lodger.take(ticket.pack(b"haadf")) is None
    lent.take_back()
    assert len(lent) == 0
    for text in (b"", b"x" * 3, b"\xff" * 80):
        assert lodger.take(text) is None
    lodger.close()


def test_the_wrong_token_opens_no_readers_file_and_no_ring(
    start_data: Callable[..., DataServer], context: Context
) -> None:
    held = HeldSlots()
    with pytest.raises(SharedMemoryError, match="token"):
        LentSlots(held.name, "0" * 32)
    server = start_data()
    with (
        subscribed(server, context) as subscriber,
        publishing(server, context) as publisher,
        context.socket(zmq.DEALER) as impostor,
    ):
        impostor.setsockopt(zmq.LINGER, 0)
        number = warm_up(publisher, subscriber)
        impostor.connect("tcp://{}:{}".format(*server.address))
        impostor.send_json(
            {
                "op": "subscribe",
                "generation": 1,
                "streams": [],
                "mode": "lossless",
                "credit": 5,
                "reader": {"name": held.name, "token": held.token},
            }
        )
        assert impostor.recv() == b"subscribed"
        kind, name = impostor.recv_multipart()
        assert kind == b"ring"
        impostor.send_json({"op": "mapped", "ring": name.decode(), "token": "0" * 32})
        exchange(publisher, subscriber, number)
        assert impostor.recv_multipart()[0] == b"data"
    held.close()


def test_files_of_the_dead_are_swept_and_those_of_the_living_are_not(ring: RingWriter) -> None:
    left = SharedFile.create("ring", 8192)
    path = left.path
    os.close(os.dup(left._descriptor))
    del left  # its process has ended, and nobody has taken the name away
    sweep_shared_files()
    assert path.exists()  # so young that somebody may just be making it
    import eucentric_core.transport._shm_file as module

    young_s, module._YOUNG_S = module._YOUNG_S, -1.0
    try:
        sweep_shared_files()
    finally:
        module._YOUNG_S = young_s
    assert not path.exists()
    assert (shared_folder() / ring.name).exists()
