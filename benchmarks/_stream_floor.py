"""The least that can make frames durable with the recorder's promise: two processes, and nothing but that.

The source copies each frame into shared memory and sends its header with the slot's number by ZeroMQ. The
sink reads the header as JSON, computes the frame's CRC-32C, writes 32 MiB at a time past the page cache from
where they lie, flushes, writes a record for each frame into a second file, flushes that, and then gives the
slots back. Writing and flushing have a thread each, as in the recorder. There are no subscribers, no checks
of what came, no HDF5, no compression, no sealing: whatever does more can hardly be faster in Python.
"""

from __future__ import annotations

import json
import mmap
import multiprocessing
import os
import struct
import time
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zmq
from _stream_disk import GROUP_BYTES

__all__ = ["FloorLine"]

_IN_FLIGHT = 3
_SLOT = struct.Struct("<I")
_RECORD = struct.Struct("<QII")
_SPAWN = multiprocessing.get_context("spawn")
_Array = np.ndarray[Any, np.dtype[np.uint16]]


def _shared(path: str, n_bytes: int) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR)
    try:
        return mmap.mmap(descriptor, n_bytes)
    finally:
        os.close(descriptor)


def _source(orders: Connection, endpoint: str, ring: str, n_slots: int, arrays: list[_Array]) -> None:
    """The source's process: so many frames per order."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.PAIR)
    socket.set_hwm(0)
    socket.connect(endpoint)
    frame_bytes = arrays[0].nbytes
    slots = np.frombuffer(_shared(ring, n_slots * frame_bytes), np.uint16).reshape(n_slots, -1)
    slots[:] = 0
    header = json.dumps({"sequence": 0, "shape": arrays[0].shape, "filling": "x" * 500}).encode()
    orders.send("ready")
    while (frames := orders.recv()) is not None:
        free = list(range(n_slots))
        orders.send(time.monotonic())
        for array in islice(cycle(arrays), frames):
            while not free or socket.poll(0):
                free += list(socket.recv_multipart()[0])
            slot = free.pop()
            slots[slot] = array.reshape(-1)
            socket.send_multipart([_SLOT.pack(slot), header])
        held = n_slots - len(free)
        while held:
            held -= len(socket.recv_multipart()[0])
    context.destroy(linger=0)


class FloorLine:
    """The sink in this process, and the source in one of its own.

    Args:
        folder: of the file that is written.
        arrays: a few frames, uint16, all of one shape; their length a multiple of 4096 bytes.
    """

    def __init__(self, folder: Path, arrays: list[_Array]) -> None:
        self._folder = folder
        self._frame_bytes = arrays[0].nbytes
        self._per_group = max(1, GROUP_BYTES // self._frame_bytes)
        n_slots = min(255, (_IN_FLIGHT + 1) * self._per_group)
        ring = Path("/dev/shm") / f"floor-{os.getpid()}"  # noqa: S108
        ring.touch()
        os.truncate(ring, n_slots * self._frame_bytes)
        self._memory = memoryview(_shared(str(ring), n_slots * self._frame_bytes))
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.PAIR)
        self._socket.set_hwm(0)
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self._writer, self._flusher = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._orders, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(
            target=_source, args=(theirs, f"tcp://127.0.0.1:{port}", str(ring), n_slots, arrays)
        )
        self._process.start()
        self._orders.recv()
        ring.unlink()

    @property
    def pid(self) -> int:
        """Of the source."""
        return self._process.pid or 0

    def record(self, frames: int) -> float:
        """Make so many frames durable; the seconds from the first until the last one is acknowledged."""
        path = self._folder / "floor"
        data = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_DIRECT, 0o600)
        journal = os.open(path.with_suffix(".journal"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._orders.send(frames)
            began_s = self._orders.recv()
            groups: list[Future[bytes]] = []
            slots, records, offset = bytearray(), [], 0
            for number in range(frames):
                slot_text, header = self._socket.recv_multipart()
                json.loads(header)
                (slot,) = _SLOT.unpack(slot_text)
                checksum = google_crc32c.extend(0, np.frombuffer(self._frame(slot), np.uint8))
                records.append(_RECORD.pack(number, checksum, len(header)) + header)
                slots.append(slot)
                if len(slots) < self._per_group and number < frames - 1:
                    continue
                buffers = [self._frame(slot) for slot in slots]
                written = self._writer.submit(os.pwritev, data, buffers, offset)
                groups.append(
                    self._flusher.submit(
                        self._make_durable, data, journal, b"".join(records), bytes(slots), written
                    )
                )
                offset += len(slots) * self._frame_bytes
                slots, records = bytearray(), []
                while groups and (groups[0].done() or len(groups) >= _IN_FLIGHT):
                    self._socket.send_multipart([groups.pop(0).result()])
            for group in groups:
                self._socket.send_multipart([group.result()])
            return time.monotonic() - began_s
        finally:
            os.close(data)
            os.close(journal)
            path.unlink()
            path.with_suffix(".journal").unlink()

    def _frame(self, slot: int) -> memoryview:
        return self._memory[slot * self._frame_bytes : (slot + 1) * self._frame_bytes]

    def _make_durable(
        self, data: int, journal: int, records: bytes, slots: bytes, written: Future[int]
    ) -> bytes:
        if written.result() != len(slots) * self._frame_bytes:
            raise OSError("the disk took a part of a write only")
        os.fdatasync(data)
        os.write(journal, records)
        os.fdatasync(journal)
        return slots

    def close(self) -> None:
        """End everything."""
        self._orders.send(None)
        self._process.join()
        for thread in (self._writer, self._flusher):
            thread.shutdown()
        self._context.destroy(linger=0)
