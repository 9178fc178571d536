"""The steps from frames to a model in service: plain functions that may be repeated."""

from __future__ import annotations

from ._blueprint import Blueprint, Champion, fetch_champion
from ._gather import FRAME_STREAM, Gathered, gather
from ._install import install
from ._judge import Judgement, ModelFiles, judge_challenger
from ._publish import Publication, promote, record_lineage, register, sign
from ._train import retraining_request, seed_of, start_request, train
from ._workspace import StartData, Workspace, start_data

__all__ = [
    "FRAME_STREAM",
    "Blueprint",
    "Champion",
    "Gathered",
    "Judgement",
    "ModelFiles",
    "Publication",
    "StartData",
    "Workspace",
    "fetch_champion",
    "gather",
    "install",
    "judge_challenger",
    "promote",
    "record_lineage",
    "register",
    "retraining_request",
    "seed_of",
    "sign",
    "start_data",
    "start_request",
    "train",
]
