"""Parsl's interchange, ending with the process that started it.

Run by path as a program of its own. Parsl's interchange outlives a parent that was killed, and keeps its
workers alive with it; here it ends, and the workers end once they have missed its heartbeats.
"""

from __future__ import annotations

import os
import runpy
import threading
import time

_POLL_S = 1.0


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    runpy.run_module("parsl.executors.high_throughput.interchange", run_name="__main__")
