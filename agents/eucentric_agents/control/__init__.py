"""Steering: who may, in which order, for how long, and what happened; between transport and driver."""

from __future__ import annotations

from ._answers import AnswerCache
from ._audit import AuditLog, AuditRecord, AuditSummary, AuditWriteError, verify_audit
from ._dispatcher import Dispatcher
from ._lease import LeaseKeeper
from ._methods import control_methods
from ._owner import OwnerThread
from ._readings import Readings
from ._session_desk import SessionDesk, SessionNames
from ._unblank import UnblankTimer
from ._watchdog import Watchdog

__all__ = [
    "AnswerCache",
    "AuditLog",
    "AuditRecord",
    "AuditSummary",
    "AuditWriteError",
    "Dispatcher",
    "LeaseKeeper",
    "OwnerThread",
    "Readings",
    "SessionDesk",
    "SessionNames",
    "UnblankTimer",
    "Watchdog",
    "control_methods",
    "verify_audit",
]
