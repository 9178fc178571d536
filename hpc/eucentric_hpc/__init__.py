"""Training and batch analysis on a cluster, behind one executor seam."""

from __future__ import annotations

from ._augmentation import Augmentation
from ._checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from ._crops import CropSampler
from ._decoding_choices import calibrated, with_best_threshold, with_lattice_prior
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
from ._focus import missed_rows, with_focus
from ._member_config import MemberConfig
from ._node_cache import NodeCache, staged
from ._pseudo_labels import PseudoLabelling, pseudo_truth, sure_labels
from ._result_store import recorded_result, run_once, submit_once
from ._start_training import DEMO_RETRAINING, DEMO_START_TRAINING, simulated_start_data, start_training
from ._stop_requests import StopReason, StopRequests, stop_requests
from ._training import MemberResult, Progress, train_member
from ._training_errors import (
    TrainingConfigError,
    TrainingDataError,
    TrainingDivergedError,
    TrainingError,
    TrainingInterruptedError,
    TrainingStoppedError,
)
from ._training_progress import ProgressWriter, TrainingProgress, read_progress
from ._training_set import TrainingSet, read_training_set, write_training_set
from .executors import (
    EXECUTORS,
    ComputeExecutor,
    Site,
    SiteError,
    WorkerLostError,
    load_site,
    open_executor,
    until,
    waiting_reason,
)

__all__ = [
    "DEFAULT_JUDGING",
    "DEMO_RETRAINING",
    "DEMO_START_TRAINING",
    "EXECUTORS",
    "AssembledData",
    "Augmentation",
    "Checkpoint",
    "ComputeExecutor",
    "CropSampler",
    "ElitParameters",
    "EnsembleRequest",
    "EnsembleResult",
    "GoldenFiles",
    "Judging",
    "MemberConfig",
    "MemberOutcome",
    "MemberResult",
    "NodeCache",
    "Progress",
    "ProgressWriter",
    "PseudoLabelling",
    "Site",
    "SiteError",
    "StageProgress",
    "StopReason",
    "StopRequests",
    "TrainingConfigError",
    "TrainingDataError",
    "TrainingDivergedError",
    "TrainingError",
    "TrainingInterruptedError",
    "TrainingProgress",
    "TrainingSet",
    "TrainingStoppedError",
    "WorkerLostError",
    "assemble_task",
    "calibrated",
    "drift_reference",
    "evaluate_ensemble",
    "finish_task",
    "load_site",
    "member_task",
    "missed_rows",
    "open_executor",
    "pseudo_truth",
    "read_checkpoint",
    "read_progress",
    "read_training_set",
    "recorded_result",
    "run_once",
    "select_members",
    "simulated_start_data",
    "staged",
    "start_training",
    "stop_requests",
    "submit_once",
    "sure_labels",
    "train_ensemble",
    "train_member",
    "until",
    "waiting_reason",
    "with_best_threshold",
    "with_focus",
    "with_lattice_prior",
    "write_checkpoint",
    "write_training_set",
]
