"""Sessions: a name used once, and what opens and closes a session in band with its frames."""

from __future__ import annotations

from ._desk import Desk, SessionDesk
from ._names import SessionNames

__all__ = ["Desk", "SessionDesk", "SessionNames"]
