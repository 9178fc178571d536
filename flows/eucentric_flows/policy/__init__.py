"""Policies: declared data and pure functions."""

from __future__ import annotations

from ._backtest import Backtest, Firing, Recorded, backtest
from ._circumstances import ChampionSince, Circumstances, PastRun
from ._decide import advance, decide, may_run, next_due_utc, reconsider
from ._document import SCHEMA_VERSION, Policy
from ._errors import PolicyError, Problem
from ._explain import explain
from ._guard_settings import Guards, QuietHours
from ._inputs import (
    KNOWN_INPUTS,
    ArraysInput,
    ChampionInput,
    FileInput,
    FramesInput,
    InputSource,
    NewestInput,
    RowsInput,
    SeriesInput,
)
from ._load import load_policies, load_policy, parse_policy, problem_error, read_policy_text
from ._placement import decided_by_prefect, decided_here, why_resident
from ._positions import KeyPath, places
from ._problems import problem_at
from ._ruling import Answer, Decision, PolicyState, Ruling, Status, Waiting
from ._vocabulary import nearest
from .actions import Cause, FlowOrder, NotifyOrder, Order, RetrainAction, RetrainRequest
from .triggers import (
    AllTrigger,
    AnyOfTrigger,
    AnyTrigger,
    DatasetTrigger,
    DriftTrigger,
    EventMatch,
    FlowTrigger,
    FramesTrigger,
)

__all__ = [
    "KNOWN_INPUTS",
    "SCHEMA_VERSION",
    "AllTrigger",
    "Answer",
    "AnyOfTrigger",
    "AnyTrigger",
    "ArraysInput",
    "Backtest",
    "Cause",
    "ChampionInput",
    "ChampionSince",
    "Circumstances",
    "DatasetTrigger",
    "Decision",
    "DriftTrigger",
    "EventMatch",
    "FileInput",
    "Firing",
    "FlowOrder",
    "FlowTrigger",
    "FramesInput",
    "FramesTrigger",
    "Guards",
    "InputSource",
    "KeyPath",
    "NewestInput",
    "NotifyOrder",
    "Order",
    "PastRun",
    "Policy",
    "PolicyError",
    "PolicyState",
    "Problem",
    "QuietHours",
    "Recorded",
    "RetrainAction",
    "RetrainRequest",
    "RowsInput",
    "Ruling",
    "SeriesInput",
    "Status",
    "Waiting",
    "advance",
    "backtest",
    "decide",
    "decided_by_prefect",
    "decided_here",
    "explain",
    "load_policies",
    "load_policy",
    "may_run",
    "nearest",
    "next_due_utc",
    "parse_policy",
    "places",
    "problem_at",
    "problem_error",
    "read_policy_text",
    "reconsider",
    "why_resident",
]
