"""Examines a machine before something is started on it. Each check is a function that returns findings."""

from __future__ import annotations

from ._command import command
from ._examine import examine
from ._finding import Finding, Status

__all__ = ["Finding", "Status", "command", "examine"]
