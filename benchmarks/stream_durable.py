"""The part of `stream.py` about frames that are durable: from a driver's process into sealed shards.

Two processes, as at an instrument: a driver publishes, the data process serves, records and seals. The clock
runs from the first frame until the last one is acknowledged: it is on the disk, and so is the record that
vouches for it. The session is begun before: that is a transaction of the ledger, once. A second clock runs on
until all shards are hashed and recorded (`sealed_fraction_of_disk`): that is what can be kept up for longer
than `max_unsealed_bytes` last. What both are compared with is measured
in between, in the same folder: the frames' own bytes into one file by a program that does nothing else
(`_stream_disk.py`), through the page cache and past it, with a flush for each group of as many bytes as the
recorder acknowledges at a time. The faster of the two is the disk's limit. Reported beside it: the limit
through the cache alone, and that of a file that is flushed once, at its end, which promises less.
`python stream_durable.py` runs it alone; `stream_budget.py` tells where the time goes.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zmq
from _harness import arguments, report
from _stream_disk import WAYS, Pool, timed, write_h5py

from eucentric_agents.drivers import open_driver
from eucentric_agents.recording import Journal, Recorder
from eucentric_core import AgentSettings, Frame, FrameHeader, SessionStarted, SessionStopped
from eucentric_core.transport import DataServer, StreamPublisher, find_free_port
from eucentric_core.vocabulary import BeamUnblank, ScanAcquire, SessionStart

__all__ = ["durable_figures"]

SIZES_PX = (512, 2048)
CONTENTS = ("counts", "noise")
POOL = {512: 16, 2048: 4}
SESSION_BYTES = 1 << 30
QUICK_BYTES = 256 << 20
SHARD_BYTES = 128 << 20
RING_BYTES = 512 << 20
MAX_WAIT_S = 300.0

_SPAWN = multiprocessing.get_context("spawn")
_Array = np.ndarray[Any, np.dtype[np.uint16]]


def frames_of(size_px: int, content: str) -> tuple[FrameHeader, list[_Array]]:
    """A header, and a few frames: counts of the simulated microscope, or what no compressor makes smaller."""
    taken: list[Frame] = []
    instrument = open_driver(AgentSettings(driver={"seed": 1}), taken.append)
    try:
        instrument.execute(SessionStart(session="bench"))
        instrument.execute(BeamUnblank(max_duration_s=600))
        scan = ScanAcquire(height_px=size_px, width_px=size_px, dwell_time_s=1e-6 if size_px < 1024 else 2e-7)
        for _ in range(POOL[size_px] if content == "counts" else 1):
            instrument.execute(scan)
    finally:
        instrument.close()
    images = [frame for frame in taken if frame.header.stream == "haadf"]
    if content == "counts":
        arrays = [np.array(frame.array, dtype=np.uint16) for frame in images]
    else:
        random = np.random.default_rng(size_px)
        shape = (size_px, size_px)
        arrays = [random.integers(0, 1 << 16, shape, dtype=np.uint16) for _ in range(POOL[size_px])]
    return images[0].header, arrays


def drive(orders: Connection, ingest: str) -> None:
    """The driver's process: one session per order."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    publisher = StreamPublisher(ingest, context=context, ring_bytes=RING_BYTES, timeout_s=MAX_WAIT_S)
    pools = {(size, content): frames_of(size, content) for size in SIZES_PX for content in CONTENTS}
    orders.send("ready")
    while (order := orders.recv()) is not None:
        session, size_px, content, frames = order
        header, arrays = pools[(size_px, content)]
        publisher.publish_event(SessionStarted(source="agent", instrument="bench", session=session))
        orders.recv()
        orders.send(time.monotonic())
        for sequence, array in enumerate(islice(cycle(arrays), frames)):
            known = {"instrument": "bench", "session": session, "sequence": sequence, "scan": 0}
            publisher.publish(header.model_copy(update=known), array)
        publisher.publish_event(
            SessionStopped(source="agent", instrument="bench", session=session, frames=frames)
        )
    publisher.close()
    context.term()


class Took(NamedTuple):
    """From the first frame of a session until its last was acknowledged as durable, and was sealed (s)."""

    durable_s: float
    sealed_s: float


class Line:
    """The data process's parts in this process, and the driver in one of its own."""

    def __init__(self, folder: Path, size_px: int) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        port = find_free_port()
        self.server = DataServer(
            host="127.0.0.1", port=port, ingest_endpoint="tcp://127.0.0.1:0", context=self.context
        )
        self.serving = threading.Thread(target=self.server.serve)
        self.serving.start()
        per_shard = SHARD_BYTES // (2 * size_px * size_px)
        self.journal = Journal(folder, frames_per_shard=per_shard, min_free_bytes=0)
        self.recorder = Recorder(
            self.journal, host="127.0.0.1", port=port, publish=lambda _event: None, context=self.context
        )
        self.recorder.start()
        self.orders, theirs = _SPAWN.Pipe()
        self.driver = _SPAWN.Process(target=drive, args=(theirs, self.server.ingest_endpoint))
        self.driver.start()
        self.orders.recv()
        # As the data process does when it is ready.
        gc.collect()
        gc.freeze()

    @property
    def pid(self) -> int:
        """Of the driver's process."""
        return self.driver.pid or 0

    def record(self, session: str, size_px: int, content: str, frames: int) -> Took:
        """Record a session of so many frames, and wait until it is sealed."""
        durable_s = self.acknowledge(session, size_px, content, frames)
        return Took(durable_s, durable_s + self.settle())

    def acknowledge(self, session: str, size_px: int, content: str, frames: int) -> float:
        """Record a session; the seconds from its first frame until its last was acknowledged."""
        wanted = self.recorder.frames_durable + frames
        self.orders.send((session, size_px, content, frames))
        self._wait(lambda: self.journal.open_sessions > 0, session, time.monotonic())
        self.orders.send("go")
        began_s = self.orders.recv()
        self._wait(lambda: self.recorder.frames_durable >= wanted, session, began_s)
        return time.monotonic() - began_s

    def settle(self) -> float:
        """Wait until everything is sealed; the seconds that took."""
        began_s = time.monotonic()
        self._wait(lambda: not self.journal.open_sessions, "a session", began_s)
        return time.monotonic() - began_s

    def _wait(self, is_so: Callable[[], bool], session: str, began_s: float) -> None:
        while not is_so():
            if time.monotonic() > began_s + MAX_WAIT_S:
                raise TimeoutError(f"{session} was not recorded: {self.recorder.status()}")
            time.sleep(0.005)

    def close(self) -> None:
        """End everything."""
        self.orders.send(None)
        self.driver.join()
        self.recorder.stop(drain_s=0)
        self.journal.close()
        self.server.stop()
        self.serving.join()
        self.context.term()


def measure(folder: Path, size_px: int, content: str, *, quick: bool) -> dict[str, float]:
    """Frames per second of recorder, disk and h5py, and their ratios, each the median of interleaved runs."""
    frames = (QUICK_BYTES if quick else SESSION_BYTES) // (2 * size_px * size_px)
    _, arrays = frames_of(size_px, content)
    pool = Pool(arrays, frames)
    line = Line(folder / "recording", size_px)
    recorded: list[Took] = []
    limits: dict[str, list[float]] = {name: [] for name in WAYS}
    h5py_s: list[float] = []
    stored_bytes = 0
    try:
        line.record("warm-up", size_px, content, max(4, frames // 8))
        for way in WAYS:
            timed(WAYS[way], folder / "raw", pool)
        for run in range(3 if quick else 5):
            before_s = {way: timed(WAYS[way], folder / "raw", pool) for way in WAYS}
            for path in line.journal.folders.shards.glob("*.h5"):
                path.unlink()
            os.sync()
            recorded.append(line.record(f"run-{run}", size_px, content, frames))
            shards = list(line.journal.folders.shards.glob("*.h5"))
            stored_bytes = sum(path.stat().st_size for path in shards)
            for way in WAYS:
                limits[way].append((before_s[way] + timed(WAYS[way], folder / "raw", pool)) / 2)
            h5py_s.append(timed(write_h5py, folder / "plain.h5", pool))
    finally:
        line.close()
        shutil.rmtree(folder / "recording")
    return _figures(recorded, limits, h5py_s, pool, stored_bytes)


def _figures(
    recorded: list[Took], limits: dict[str, list[float]], h5py_s: list[float], pool: Pool, stored_bytes: int
) -> dict[str, float]:
    frames, frame_bytes = pool.frames, pool.arrays[0].nbytes
    disk_s = [min(times) for times in zip(limits["cached"], limits["direct"], strict=True)]
    durable_s = [took.durable_s for took in recorded]
    durable = frames / statistics.median(durable_s)
    disk = frames / statistics.median(disk_s)
    return {
        "durable": round(durable, 1),
        "disk": round(disk, 1),
        "disk_through_cache": round(frames / statistics.median(limits["cached"]), 1),
        "disk_flushed_once": round(frames / statistics.median(limits["once"]), 1),
        "h5py_resize_write": round(frames / statistics.median(h5py_s), 1),
        "durable_mb_per_s": round(durable * frame_bytes / 1e6, 1),
        "disk_mb_per_s": round(disk * frame_bytes / 1e6, 1),
        "stored_fraction": round(stored_bytes / (frames * frame_bytes), 3),
        "fraction_of_disk": _median_ratio(disk_s, durable_s),
        "fraction_of_disk_through_cache": _median_ratio(limits["cached"], durable_s),
        "fraction_of_disk_flushed_once": _median_ratio(limits["once"], durable_s),
        "sealed_fraction_of_disk": _median_ratio(disk_s, [took.sealed_s for took in recorded]),
    }


def _median_ratio(disk_s: list[float], took_s: list[float]) -> float:
    return round(statistics.median(disk / took for disk, took in zip(disk_s, took_s, strict=True)), 3)


def durable_figures(*, quick: bool) -> dict[str, Any]:
    """Figures of the way from a driver's process to a durable shard, to be reported beside the subscriber's.

    Args:
        quick: measure less.
    """
    by_case: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(
        prefix="durable-", dir=os.environ.get("EUCENTRIC_BENCH_FOLDER")
    ) as found:
        for size_px in SIZES_PX:
            for content in CONTENTS:
                by_case[f"{size_px}px_{content}"] = measure(Path(found), size_px, content, quick=quick)
    return {
        # Of the large frames of the simulated microscope, as the subscriber's.
        "durable_fraction_of_disk": by_case[f"{SIZES_PX[-1]}px_counts"]["fraction_of_disk"],
        "durable_fraction_of_disk_by_case": {
            case: figures["fraction_of_disk"] for case, figures in by_case.items()
        },
        "durable_fraction_of_disk_through_cache_by_case": {
            case: figures["fraction_of_disk_through_cache"] for case, figures in by_case.items()
        },
        "sealed_fraction_of_disk_by_case": {
            case: figures["sealed_fraction_of_disk"] for case, figures in by_case.items()
        },
        "durable": by_case,
    }


if __name__ == "__main__":
    options = arguments(__doc__ or "").parse_args()
    report(
        durable_figures(quick=options.quick), as_json=options.json, packages=("h5py", "blosc2", "hdf5plugin")
    )
