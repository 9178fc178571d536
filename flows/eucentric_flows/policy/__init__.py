"""Policies: declared data and pure functions."""

from __future__ import annotations

from ._decide import decide
from ._explain import explain
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
    "KNOWN_INPUTS",
    "ArraysInput",
    "ChampionInput",
    "DatasetTrigger",
    "Decision",
    "DriftTrigger",
    "FileInput",
    "FramesInput",
    "FramesTrigger",
    "Guards",
    "InputSource",
    "NewestInput",
    "PastRun",
    "Policy",
    "PolicyError",
    "RetrainAction",
    "RetrainRequest",
    "RowsInput",
    "SeriesInput",
    "decide",
    "explain",
    "load_policies",
    "load_policy",
]
