"""Steering: who may, in which order, for how long, and what happened; between transport and driver."""

from __future__ import annotations

from ._access import authorise, needed_role
from ._answers import AnswerCache
from ._audit import AuditLog, AuditRecord, AuditSummary, AuditWriteError, Outcome, read_audit, verify_audit
from ._audit_reading import RecordFilter
from ._audit_view import AuditView
from ._dispatcher import Dispatcher
from ._identity import Identity
from ._lease import LeaseKeeper
from ._methods import control_methods
from ._owner import OwnerThread
from ._protocols import Interlocks, Trip
from ._readings import Readings
from ._unblank import UnblankTimer
from ._watchdog import Watchdog

__all__ = [
    "AnswerCache",
    "AuditLog",
    "AuditRecord",
    "AuditSummary",
    "AuditView",
    "AuditWriteError",
    "Dispatcher",
    "Identity",
    "Interlocks",
    "LeaseKeeper",
    "Outcome",
    "OwnerThread",
    "Readings",
    "RecordFilter",
    "Trip",
    "UnblankTimer",
    "Watchdog",
    "authorise",
    "control_methods",
    "needed_role",
    "read_audit",
    "verify_audit",
]
