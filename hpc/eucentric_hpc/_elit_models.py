"""What goes into an ensemble training and what comes out; plain enough to cross to any worker as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from eucentric_models import (
    DEFAULT_DECODING,
    DEFAULT_PREPROCESSING,
    Decoding,
    DriftReference,
    NetworkSpec,
    Preprocessing,
)

from ._evaluation import DEFAULT_JUDGING, Judging
from ._member_config import MemberConfig
from ._pseudo_labels import PseudoLabelling

_FROZEN = ConfigDict(frozen=True, extra="forbid")


class ElitParameters(BaseModel):
    """How an ensemble is trained, whatever it is trained on.

    Attributes:
        network: architecture of every member.
        member: budget and recipe; member ``k`` gets its own seed derived from ``seed``.
        members: how many to train.
        classes: names of the detectable classes, for the metrics.
        replay_frames: how many start frames to mix with new ones; all are used when there are no new ones.
        warm_start: start member ``k`` from the champion's member ``k`` (in turn).
        pseudo_labelling: when to believe the champion.
        missed_weight: weight in the loss of the surroundings of labelled columns that the champion misses
            when it is asked as it is used: in labelled and replayed frames, and in pseudo-labelled ones where
            it found them in other orientations only. 1 treats all alike.
        validation_fraction: share of the truthfully labelled frames held out for selection and metrics.
        selection_margin: a member whose validation F1 is further below the median is dropped.
        smallest_ensemble: fewer finished members than this is a failure.
        preprocessing: normalisation.
        decoding: threshold and separation.
        choose_threshold: take the threshold of the highest F1 on the held-out frames instead.
        lattice_prior: fit how noisy positions are, so that columns which stand on a lattice are placed by
            their neighbours too; only for materials whose columns are meant to.
        judging: what counts as a right detection.
        seed: of the split, the initial weights and the shuffling.
        member_time_limit_s: limit for one member; it stops with a checkpoint.
        timeout_s: limit for the whole.
    """

    model_config = _FROZEN

    network: NetworkSpec
    member: MemberConfig
    members: int = Field(default=3, ge=1, le=64)
    classes: tuple[str, ...] = ()
    replay_frames: int = Field(default=20, ge=0)
    warm_start: bool = True
    pseudo_labelling: PseudoLabelling = PseudoLabelling()
    missed_weight: float = Field(default=1.0, ge=1, le=100)
    validation_fraction: float = Field(default=0.2, gt=0, lt=1)
    selection_margin: float = Field(default=0.05, ge=0, le=1)
    smallest_ensemble: int = Field(default=2, ge=1)
    preprocessing: Preprocessing = DEFAULT_PREPROCESSING
    decoding: Decoding = DEFAULT_DECODING
    choose_threshold: bool = False
    lattice_prior: bool = False
    judging: Judging = DEFAULT_JUDGING
    seed: int = Field(default=0, ge=0, lt=2**62)
    member_time_limit_s: float | None = Field(default=None, gt=0)
    timeout_s: float = Field(default=3600.0, gt=0, le=30 * 86400)

    @model_validator(mode="after")
    def _enough_members(self) -> Self:
        if self.smallest_ensemble > self.members:
            raise ValueError("smallest_ensemble is larger than members")
        return self


class EnsembleRequest(ElitParameters):
    """One ensemble training.

    Every path must mean the same file to the caller and to the workers.

    Attributes:
        work_dir: where data, checkpoints and weights go; calling again with the same folder and request
            resumes.
        start_data: training set to replay, so that what was once learned is not forgotten.
        new_data: training set that the retraining is about; frames without truth get pseudo-labels.
        champion: safetensors files of the members in production; needed for a warm start and pseudo-labels.
    """

    work_dir: Path
    start_data: Path | None = None
    new_data: Path | None = None
    champion: tuple[Path, ...] = ()

    @model_validator(mode="after")
    def _has_data(self) -> Self:
        if self.start_data is None and self.new_data is None:
            raise ValueError("start_data or new_data is needed")
        return self


class AssembledData(BaseModel):
    """The split that all members share.

    Attributes:
        train: training set.
        train_sha256: of that file; workers on other machines keep copies by it.
        validation: held-out set, truth only.
        validation_sha256: of that file.
        train_frames: frames to train on, pseudo-labelled ones included.
        validation_frames: frames held out.
        pseudo_labelled_frames: training frames whose labels are the champion's.
        unused_frames: frames without truth for which the champion was not sure enough.
        reference_frames: how many training frames, from the first, are new (all when none is new).
    """

    model_config = _FROZEN

    train: Path
    train_sha256: str
    validation: Path
    validation_sha256: str
    train_frames: int
    validation_frames: int
    pseudo_labelled_frames: int
    unused_frames: int
    reference_frames: int


class MemberOutcome(BaseModel):
    """One trained member.

    Attributes:
        index: which member.
        weights: safetensors file.
        sha256: of that file.
        f1: on the validation set.
        final_loss: mean over the last tenth of the steps.
        seconds: wall time of the training.
        resumed_from_step: 0 for an uninterrupted training.
    """

    model_config = _FROZEN

    index: int
    weights: Path
    sha256: str
    f1: float
    final_loss: float
    seconds: float
    resumed_from_step: int


class GoldenFiles(BaseModel):
    """A frame and the mean heat maps that the ensemble gives for it.

    Attributes:
        frame: ``.npy``, (ny, nx) raw counts.
        expected: ``.npy``, (n_classes, ny, nx) float32.
    """

    model_config = _FROZEN

    frame: Path
    expected: Path


class EnsembleResult(BaseModel):
    """A trained and selected ensemble.

    Attributes:
        members: all that finished, by index.
        selected: indices of those kept.
        weights: safetensors files of those kept.
        metrics: of the kept ensemble on the validation set (:func:`evaluate_ensemble`), and the share of
            the training labels that it confirms, ``label_agreement``.
        warnings: sentences about labels that are wrong or missing.
        decoding: that of the request, its confidences calibrated on the validation set.
        drift_reference: what normal input looks like to the kept ensemble.
        golden: frames with expected maps, for the edge to check an installed model with.
        data: split and counts.
        seconds: name of each stage to wall seconds.
    """

    model_config = _FROZEN

    members: tuple[MemberOutcome, ...]
    selected: tuple[int, ...]
    weights: tuple[Path, ...]
    metrics: dict[str, float]
    warnings: tuple[str, ...] = ()
    decoding: Decoding = DEFAULT_DECODING
    drift_reference: DriftReference
    golden: tuple[GoldenFiles, ...]
    data: AssembledData
    seconds: dict[str, float]
