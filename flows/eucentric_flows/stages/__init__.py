"""The steps from frames to a model in service: plain functions that may be repeated."""

from __future__ import annotations

from ._blueprint import Blueprint, Champion, fetch_base, fetch_champion
from ._gather import Gathered, gather
from ._install import install
from ._judge import ModelFiles, judge_challenger
from ._judge_by_merits import judge_by_merits
from ._judgement import Judgement
from ._plan import TrainingPlan, require_retrainable, retraining_plan, seed_of, start_plan
from ._publish import Publication, promote, record_lineage, register, require_not_outrun, sign
from ._release import deliver, release
from ._train import train
from ._try_out import explain, try_out
from ._workspace import StartData, Workspace, start_data

__all__ = [
    "Blueprint",
    "Champion",
    "Gathered",
    "Judgement",
    "ModelFiles",
    "Publication",
    "StartData",
    "TrainingPlan",
    "Workspace",
    "deliver",
    "explain",
    "fetch_base",
    "fetch_champion",
    "gather",
    "install",
    "judge_by_merits",
    "judge_challenger",
    "promote",
    "record_lineage",
    "register",
    "release",
    "require_not_outrun",
    "require_retrainable",
    "retraining_plan",
    "seed_of",
    "sign",
    "start_data",
    "start_plan",
    "train",
    "try_out",
]
