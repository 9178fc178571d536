"""Viewers of the live image without a screen: they take frames as browsers do, each at its own pace.

    python benchmarks/_dashboard_viewers.py URL VIEWERS FRAMES_PER_S [--stalled N]

Runs until its standard input closes, then prints how many frames each viewer took per second. A stalled
viewer takes one frame and never says that it has drawn it. The process has the least priority that there is,
because in a laboratory viewers sit at machines of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin


async def view(address: str, origin: str, frames_per_s: float, taken: list[int], number: int) -> None:
    """One viewer; with a pace of 0 it stalls. Connects again when it is put out, as a page does."""
    while True:
        try:
            async with connect(address, origin=Origin(origin), max_size=None) as socket:
                await socket.send(json.dumps({"contrast": "normal", "uncertainty": False}))
                async for message in socket:
                    if isinstance(message, str):
                        continue
                    taken[number] += 1
                    if frames_per_s == 0:
                        continue
                    await asyncio.sleep(1 / frames_per_s)
                    await socket.send("drawn")
        except (ConnectionClosed, OSError):
            await asyncio.sleep(0.5)


async def run(options: argparse.Namespace) -> list[float]:
    """All viewers, until the standard input closes."""
    address = options.url.replace("http", "ws", 1) + f"/live/{options.instrument}/frames"
    paces = [options.frames_per_s] * options.viewers + [0.0] * options.stalled
    taken = [0] * len(paces)
    viewers = [
        asyncio.create_task(view(address, options.url, pace, taken, number))
        for number, pace in enumerate(paces)
    ]
    began_s = time.monotonic()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    took_s = time.monotonic() - began_s
    for viewer in viewers:
        viewer.cancel()
    await asyncio.gather(*viewers, return_exceptions=True)
    return [round(count / took_s, 2) for count in taken]


def take_what_is_left() -> None:
    """Run only when nothing else of this machine wants the processor, other sessions included."""
    os.nice(19)
    if sys.platform != "linux":
        return
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    group = Path("/proc/self/autogroup")
    if os.getsid(0) == os.getpid() and group.exists():
        group.write_text("19")


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("viewers", type=int)
    parser.add_argument("frames_per_s", type=float)
    parser.add_argument("--instrument", default="titan")
    parser.add_argument("--stalled", type=int, default=0)
    options = parser.parse_args()
    take_what_is_left()
    print(json.dumps(asyncio.run(run(options))), flush=True)


if __name__ == "__main__":
    main()
