"""The web page for scientists and operators."""

from __future__ import annotations

from ._hub import LiveHub
from ._live import CoursePoint, LiveJoin
from ._picture import Picture
from ._safe_stop import SafeStop, StopOutcome
from ._service import serve
from ._words import Notice

__all__ = ["CoursePoint", "LiveHub", "LiveJoin", "Notice", "Picture", "SafeStop", "StopOutcome", "serve"]
