"""Instruments behind one seam: every driver implements `eucentric_core.Instrument` and knows no transport."""

from __future__ import annotations

from ._commands import CommandTable
from ._errors import MoveHaltedError, ScanAbortedError
from ._options import DriverOptions
from ._registry import FrameSink, known_drivers, open_driver
from ._scan_loop import ScanLoop
from ._scan_sessions import session_handlers
from ._sessions import OpenSession, SessionCounter

__all__ = [
    "CommandTable",
    "DriverOptions",
    "FrameSink",
    "MoveHaltedError",
    "OpenSession",
    "ScanAbortedError",
    "ScanLoop",
    "SessionCounter",
    "known_drivers",
    "open_driver",
    "session_handlers",
]
