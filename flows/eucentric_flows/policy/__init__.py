"""Policies: declared data and pure functions."""

from __future__ import annotations

from ._decide import decide
from ._explain import explain
from ._load import load_policies, load_policy
from ._models import (
    DatasetTrigger,
    Decision,
    DriftTrigger,
    FramesTrigger,
    Guards,
    PastRun,
    Policy,
    PolicyError,
    RetrainAction,
    RetrainRequest,
)

__all__ = [
    "DatasetTrigger",
    "Decision",
    "DriftTrigger",
    "FramesTrigger",
    "Guards",
    "PastRun",
    "Policy",
    "PolicyError",
    "RetrainAction",
    "RetrainRequest",
    "decide",
    "explain",
    "load_policies",
    "load_policy",
]
