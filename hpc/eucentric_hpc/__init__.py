"""Training and batch analysis on a cluster, behind one executor seam."""

from __future__ import annotations

from ._checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from ._crops import CropSampler
from ._elit import StageProgress, select_members, train_ensemble
from ._elit_models import (
    AssembledData,
    ElitParameters,
    EnsembleRequest,
    EnsembleResult,
    GoldenFiles,
    MemberOutcome,
)
from ._elit_tasks import assemble_task, finish_task, member_task
from ._evaluation import DEFAULT_JUDGING, Judging, drift_reference, evaluate_ensemble
from ._executors import EXECUTORS, WorkerLostError, open_executor
from ._member_config import Augmentation, MemberConfig
from ._pseudo_labels import PseudoLabelling, pseudo_truth, sure_labels
from ._start_training import DEMO_RETRAINING, DEMO_START_TRAINING, simulated_start_data, start_training
from ._training import MemberResult, Progress, train_member
from ._training_errors import (
    TrainingConfigError,
    TrainingDataError,
    TrainingDivergedError,
    TrainingError,
    TrainingInterruptedError,
)
from ._training_set import TrainingSet, read_training_set, write_training_set

__all__ = [
    "DEFAULT_JUDGING",
    "DEMO_RETRAINING",
    "DEMO_START_TRAINING",
    "EXECUTORS",
    "AssembledData",
    "Augmentation",
    "Checkpoint",
    "CropSampler",
    "ElitParameters",
    "EnsembleRequest",
    "EnsembleResult",
    "GoldenFiles",
    "Judging",
    "MemberConfig",
    "MemberOutcome",
    "MemberResult",
    "Progress",
    "PseudoLabelling",
    "StageProgress",
    "TrainingConfigError",
    "TrainingDataError",
    "TrainingDivergedError",
    "TrainingError",
    "TrainingInterruptedError",
    "TrainingSet",
    "WorkerLostError",
    "assemble_task",
    "drift_reference",
    "evaluate_ensemble",
    "finish_task",
    "member_task",
    "open_executor",
    "pseudo_truth",
    "read_checkpoint",
    "read_training_set",
    "select_members",
    "simulated_start_data",
    "start_training",
    "sure_labels",
    "train_ensemble",
    "train_member",
    "write_checkpoint",
    "write_training_set",
]
