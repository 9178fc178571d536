"""A scientist's program that steers with the beam on until it is stopped from outside.

python steering_process.py PORT ACTIVITY; SIGUSR1 makes it raise.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from eucentric_core import EucentricError, SteeringClient, connect
from eucentric_core.vocabulary import ScanAcquire, ScanStream

SLOW_SCAN = ScanAcquire(height_px=128, width_px=128, dwell_time_s=2e-3)
"""Takes 33 s."""


def say(line: str) -> None:
    """Tell the test."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def begin(scope: SteeringClient, activity: str) -> None:
    """Do what takes long on a thread of its own."""
    works: dict[str, Callable[[], object]] = {
        "scanning": lambda: scope.execute(SLOW_SCAN),
        "moving": lambda: scope.move_stage(x_m=9e-9),
        "hung": lambda: scope.move_stage(y_m=1e-9),
    }
    if activity == "streaming":
        scope.stream(ScanStream(height_px=64, width_px=64, max_frames_per_s=20))
    elif activity in works:
        threading.Thread(target=run, args=(works[activity],), daemon=True).start()


def run(work: Callable[[], object]) -> None:
    """Carry out `work`; how it ends is for the test to see in the driver's log."""
    try:
        work()
    except EucentricError as error:
        say(f"ended: {error.code}")


def main() -> None:
    """Take the lease, unblank, begin, say so, and go on."""
    port, activity = int(sys.argv[1]), sys.argv[2]
    mistake = threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: mistake.set())
    scope = connect("127.0.0.1", port, client="scientist", timeout_s=60)
    with scope.control(reason="fault test"):
        scope.start_session(f"s-{os.getpid()}")
        scope.unblank(max_duration_s=600)
        begin(scope, activity)
        time.sleep(0.3)
        say("steering")
        mistake.wait()
        raise RuntimeError("mistake")


if __name__ == "__main__":
    main()
