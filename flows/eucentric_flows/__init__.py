"""Flows: policies that decide, and the retraining that closes the loop. Imports without Prefect."""

from __future__ import annotations

from ._bridge import EventBridge, event_sources
from ._deployment import DEPLOYMENT
from ._errors import (
    HeldError,
    InstallationError,
    NotEnoughFramesError,
    RunCancelledError,
    RunTakenOverError,
)
from ._event_outbox import EventOutbox, OutboxCounts, outbox_path
from ._outcome import Outcome
from ._pipeline import Ending, Site
from ._server import prefect_environment, prefect_server
from .policy import Policy, PolicyError, RetrainRequest, decide, explain, load_policies, load_policy
from .runs import (
    ActiveRun,
    Admission,
    RunRecord,
    RunRecordError,
    RunState,
    RunView,
    StageView,
    TriggeredBy,
    WaitView,
    carrying_out,
    runs_path,
)

__all__ = [
    "DEPLOYMENT",
    "ActiveRun",
    "Admission",
    "Ending",
    "EventBridge",
    "EventOutbox",
    "HeldError",
    "InstallationError",
    "NotEnoughFramesError",
    "OutboxCounts",
    "Outcome",
    "Policy",
    "PolicyError",
    "RetrainRequest",
    "RunCancelledError",
    "RunRecord",
    "RunRecordError",
    "RunState",
    "RunTakenOverError",
    "RunView",
    "Site",
    "StageView",
    "TriggeredBy",
    "WaitView",
    "carrying_out",
    "decide",
    "event_sources",
    "explain",
    "load_policies",
    "load_policy",
    "outbox_path",
    "prefect_environment",
    "prefect_server",
    "runs_path",
]
