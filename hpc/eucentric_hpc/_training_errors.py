"""Typed failures of training."""

from __future__ import annotations

from eucentric_core import EucentricError


class TrainingError(EucentricError):
    """Base of every failure raised while training."""

    code = "training"


class TrainingConfigError(TrainingError):
    """Configuration, weights or data do not fit each other; found before the first step."""

    code = "training.config"


class TrainingDataError(TrainingError):
    """A training set that is unreadable or inconsistent."""

    code = "training.data"


class TrainingInterruptedError(TrainingError):
    """The time limit came before the last step; the checkpoint holds everything done so far."""

    code = "training.interrupted"


class TrainingStoppedError(TrainingInterruptedError):
    """It was told to stop, and left a checkpoint or has been replaced; `reason` says which."""

    code = "training.stopped"

    @property
    def reason(self) -> str:
        """Why, as a `StopReason`."""
        return str(self.details.get("reason", ""))


class TrainingDivergedError(TrainingError):
    """The loss became NaN or infinite, or no member of an ensemble is fit for use."""

    code = "training.diverged"
