"""Viewers come after the instrument where a machine serves both."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

__all__ = ["come_after_the_instrument"]

_NICE = 5
"""A third of the processor time of an agent where both want all of it: enough for Safe stop and pages."""

_AUTOGROUP = Path("/proc/self/autogroup")

_log = logging.getLogger(__name__)


def come_after_the_instrument() -> None:
    """Lower the priority of this process and of those that it starts; where the system refuses, it stays.

    Linux shares the processor between sessions first (sched(7), "The autogroup feature"), and `nice` tells
    only processes of one session apart. So a process that leads its session, as a service does, lowers that
    as well; one in somebody's terminal would lower whatever else was started there.
    """
    if sys.platform == "win32":
        return
    try:
        os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
        if sys.platform == "linux" and os.getsid(0) == os.getpid() and _AUTOGROUP.exists():
            _AUTOGROUP.write_text(str(_NICE))
    except OSError as error:
        _log.debug("the dashboard keeps its priority: %s", error)
