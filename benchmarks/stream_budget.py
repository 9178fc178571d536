"""Where the processors' time goes while frames become durable: ms per frame, by process and thread.

The same line of a driver's process and a data process as in `stream_durable.py`. Linux tells each thread's
time in `/proc`, in steps of 10 ms; what the kernel does for nobody in particular (writing back, interrupts)
is in the machine's own sums only. `roofline_ms` is what a frame costs whoever writes it past the page cache,
with its copy into shared memory and its checksum: the least that any program in this place has to do. `floor`
is such a program in two processes (`_stream_floor.py`): how fast it is by the clock, beside the disk alone.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from _harness import arguments, report
from _stream_disk import WAYS, Pool, timed, write_direct
from _stream_floor import FloorLine
from stream_durable import CONTENTS, QUICK_BYTES, SESSION_BYTES, SIZES_PX, Line, frames_of

__all__ = ["budget_figures"]

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_LEAST_MS = 0.002

_Times = dict[int, tuple[str, float]]


def thread_times(pid: int) -> _Times:
    """Processor seconds of each thread of a process, and what the system calls it."""
    times: _Times = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
        fields = rest.split()
        times[int(folder.name)] = (name, (int(fields[11]) + int(fields[12])) * _TICK_S)
    return times


def machine_times() -> dict[str, float]:
    """Processor seconds of the whole machine by kind, and how much nobody wanted."""
    with Path("/proc/stat").open() as file:
        user, nice, system, idle, waiting, *rest = (
            int(text) * _TICK_S for text in file.readline().split()[1:]
        )
    return {"user": user + nice, "system": system + sum(rest[:2]), "idle": idle + waiting}


def per_frame(before: _Times, after: _Times, names: dict[int, str], frames: int) -> dict[str, float]:
    """Milliseconds per frame of each thread that counts, the most expensive first."""
    spent: dict[str, float] = {}
    for thread, (system_name, seconds) in after.items():
        name = names.get(thread, system_name).partition("-127")[0]
        spent[name] = spent.get(name, 0.0) + (seconds - before.get(thread, ("", 0.0))[1]) * 1e3 / frames
    ordered = sorted(spent.items(), key=lambda item: -item[1])
    return {name: round(ms, 3) for name, ms in ordered if ms >= _LEAST_MS}


def roofline_ms(folder: Path, pool: Pool) -> dict[str, float]:
    """Processor time (ms per frame) of a write past the cache with its flush, of a copy, of a checksum."""
    target = np.empty_like(pool.arrays[0])

    def copy() -> None:
        for array in pool.each():
            np.copyto(target, array)

    def check() -> None:
        for array in pool.each():
            google_crc32c.extend(0, array)

    def cost(action: Callable[[], None]) -> float:
        began_s = time.process_time()
        action()
        return round((time.process_time() - began_s) * 1e3 / pool.frames, 4)

    figures = {
        "write": cost(lambda: write_direct(folder / "raw", pool)),
        "copy": cost(copy),
        "checksum": cost(check),
    }
    (folder / "raw").unlink()
    return figures


def floor_of(folder: Path, pool: Pool) -> dict[str, Any]:
    """The median session of the least program: ms per frame, and its share of the disk's speed."""
    line = FloorLine(folder, pool.arrays)
    sessions: list[dict[str, Any]] = []
    try:
        line.record(pool.frames)
        for _ in range(3):
            before_s = timed(WAYS["direct"], folder / "raw", pool)
            sink, source = thread_times(os.getpid()), thread_times(line.pid)
            took_s = line.record(pool.frames)
            sink_now, source_now = thread_times(os.getpid()), thread_times(line.pid)
            disk_s = (before_s + timed(WAYS["direct"], folder / "raw", pool)) / 2
            sessions.append(
                {
                    "wall": round(took_s * 1e3 / pool.frames, 3),
                    "disk": round(disk_s * 1e3 / pool.frames, 3),
                    "fraction_of_disk": round(disk_s / took_s, 3),
                    "sink": round(sum(per_frame(sink, sink_now, {}, pool.frames).values()), 3),
                    "source": round(sum(per_frame(source, source_now, {}, pool.frames).values()), 3),
                }
            )
    finally:
        line.close()
    return sorted(sessions, key=lambda session: session["fraction_of_disk"])[len(sessions) // 2]


def budget_of(folder: Path, size_px: int, content: str, *, quick: bool) -> dict[str, Any]:
    """The median session's budget."""
    frames = (QUICK_BYTES if quick else SESSION_BYTES) // (2 * size_px * size_px)
    _, arrays = frames_of(size_px, content)
    pool = Pool(arrays, frames)
    line = Line(folder / "recording", size_px)
    sessions: list[dict[str, Any]] = []
    try:
        line.record("warm-up", size_px, content, max(4, frames // 8))
        for run in range(3):
            for path in line.journal.folders.shards.glob("*.h5"):
                path.unlink()
            os.sync()
            data, driver, machine = thread_times(os.getpid()), thread_times(line.pid), machine_times()
            took_s = line.acknowledge(f"run-{run}", size_px, content, frames)
            names = {thread.native_id or 0: thread.name for thread in threading.enumerate()}
            now = machine_times()
            sessions.append(
                {
                    "wall": round(took_s * 1e3 / frames, 3),
                    "data_process": per_frame(data, thread_times(os.getpid()), names, frames),
                    "driver": per_frame(driver, thread_times(line.pid), {}, frames),
                    "machine": {kind: round((now[kind] - machine[kind]) * 1e3 / frames, 3) for kind in now},
                }
            )
            line.settle()
        figures = sorted(sessions, key=lambda session: session["wall"])[len(sessions) // 2]
        rooflines = [roofline_ms(folder, pool) for _ in range(3)]
    finally:
        line.close()
    floor = floor_of(folder, pool)
    least = {name: statistics.median(line[name] for line in rooflines) for name in rooflines[0]}
    return {**figures, "roofline_ms": least, "floor": floor}


def budget_figures(*, quick: bool) -> dict[str, Any]:
    """Milliseconds per frame, for each size and content.

    Args:
        quick: measure less.
    """
    budget: dict[str, Any] = {}
    for size_px in SIZES_PX:
        for content in CONTENTS:
            with tempfile.TemporaryDirectory(
                prefix="budget-", dir=os.environ.get("EUCENTRIC_BENCH_FOLDER")
            ) as found:
                budget[f"{size_px}px_{content}"] = budget_of(Path(found), size_px, content, quick=quick)
    return {"ms_per_frame": budget}


if __name__ == "__main__":
    options = arguments(__doc__ or "").parse_args()
    report(budget_figures(quick=options.quick), as_json=options.json, packages=("h5py", "blosc2"))
