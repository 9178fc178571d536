"""The steps from frames to a model in service: plain functions that may be repeated."""

from __future__ import annotations

from ._blueprint import Blueprint, Champion, fetch_champion
from ._gather import FRAME_STREAM, Gathered, gather
from ._install import install
from ._judge import Judgement, ModelFiles, judge_challenger
from ._publish import Publication, promote, record_lineage, register, sign
from ._train import TrainingPlan, retraining_plan, seed_of, start_plan, train
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
    "TrainingPlan",
    "Workspace",
    "fetch_champion",
    "gather",
    "install",
    "judge_challenger",
    "promote",
    "record_lineage",
    "register",
    "retraining_plan",
    "seed_of",
    "sign",
    "start_data",
    "start_plan",
    "train",
]
