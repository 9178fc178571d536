"""How many frames a second the digital twin gives on one core, ground truth and beam damage included."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from _harness import arguments, quantile, report

from eucentric_agents import open_driver
from eucentric_core import AgentSettings, Frame
from eucentric_core.vocabulary import BeamUnblank, ScanAcquire, SessionStart

WARM_UP_FRAMES = 10


def frame_periods_s(side_px: int, frames: int) -> list[float]:
    """Time from frame to frame of a square scan, delivered to a consumer that only counts."""
    delivered: list[int] = []

    def count(frame: Frame) -> None:
        delivered.append(frame.header.sequence)

    twin = open_driver(AgentSettings(driver={"seed": 1}), count)
    try:
        twin.execute(SessionStart(session="bench"))
        twin.execute(BeamUnblank(max_duration_s=600))
        scan = ScanAcquire(height_px=side_px, width_px=side_px)
        periods = []
        for _ in range(WARM_UP_FRAMES + frames):
            began = time.perf_counter()
            twin.execute(scan)
            periods.append(time.perf_counter() - began)
    finally:
        twin.close()
    if len(delivered) != 2 * len(periods):
        raise SystemExit(
            f"{len(periods)} scans delivered {len(delivered)} frames of truth and image together"
        )
    return periods[WARM_UP_FRAMES:]


@contextmanager
def on_one_core() -> Iterator[None]:
    """Keep this process on one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def main() -> None:
    """Measure and report."""
    options = arguments(__doc__ or "").parse_args()
    frames = 60 if options.quick else 300
    figures = {}
    for side_px in (512, 256):
        with on_one_core():
            periods = frame_periods_s(side_px, frames)
        figures[f"twin_frames_per_s_{side_px}"] = round(frames / sum(periods), 1)
        figures[f"twin_frame_period_p99_s_{side_px}"] = round(quantile(periods, 0.99), 5)
    report({**figures, "frames_measured": frames}, as_json=options.json, packages=("pydantic",))


if __name__ == "__main__":
    main()
