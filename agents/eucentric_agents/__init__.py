"""The microscope's side: drivers, steering, safety and recording on the control PC."""

from __future__ import annotations

from ._agent import Agent
from ._shipping import read_shipping
from .control import AuditSummary, verify_audit
from .drivers import FrameSink, known_drivers, open_driver

__all__ = [
    "Agent",
    "AuditSummary",
    "FrameSink",
    "known_drivers",
    "open_driver",
    "read_shipping",
    "verify_audit",
]
