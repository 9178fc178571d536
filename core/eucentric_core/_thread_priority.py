"""Letting a thread wait for the processor while others want it."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading

__all__ = ["give_way"]

_NICE = 10
_THREAD_PRIORITY_LOWEST = -2

_log = logging.getLogger(__name__)


def give_way(*, entirely: bool = False) -> None:
    """From here on this thread runs when no other of this machine wants the processor, or seldom.

    On Linux and Windows; elsewhere, and where the system refuses, it runs on as before.

    Args:
        entirely: not even seldom, on Linux. For work that nobody waits for and that holds no lock, the
            interpreter's included.
    """
    try:
        if sys.platform == "linux" and entirely:
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
        elif sys.platform == "linux":
            # On Linux the priority is a thread's, though the call speaks of processes.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        elif sys.platform == "win32":
            kernel = ctypes.windll.kernel32
            kernel.SetThreadPriority(kernel.GetCurrentThread(), _THREAD_PRIORITY_LOWEST)
    except OSError as error:
        _log.debug("this thread keeps its priority: %s", error)
