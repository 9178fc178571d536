"""The three steps of an ensemble training that run on workers.

Top-level functions of plain JSON arguments and results, so any executor can carry them: threads, processes,
Parsl, Globus Compute.  Data and weights go through files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eucentric_core import sha256_file, write_atomic
from eucentric_models.networks import Ensemble

from ._decoding_choices import calibrated, with_best_threshold, with_lattice_prior
from ._elit_models import AssembledData, EnsembleRequest, GoldenFiles, MemberOutcome
from ._evaluation import drift_reference, evaluate_ensemble
from ._focus import with_focus
from ._label_check import label_agreement, label_warnings
from ._node_cache import staged
from ._pseudo_labels import pseudo_truth
from ._training import train_member
from ._training_errors import TrainingConfigError, TrainingDataError
from ._training_progress import ProgressWriter
from ._training_set import TrainingSet, read_training_set, write_training_set

_LARGEST_REFERENCE = 48
_SMALLEST_REFERENCE = 10
_GOLDEN_FRAMES = 2
_EMPTY = TrainingSet((), (), ())


PROGRESS_FOLDER = "progress"
"""Where members say how far they are, within the work folder; see `read_progress`."""


def member_checkpoint(work_dir: Path, index: int) -> Path:
    """Where a member keeps its state until its result is recorded."""
    return work_dir / f"member-{index}.checkpoint"


def assemble_task(request_json: dict[str, Any]) -> dict[str, Any]:
    """Label what can be labelled, hold out validation frames, mix in replayed start data, write both sets.

    Args:
        request_json: an :class:`EnsembleRequest`.

    Returns:
        An :class:`AssembledData`.

    Raises:
        TrainingDataError: a set is unreadable, or a frame holds NaN or infinity.
        TrainingConfigError: too few labelled frames are left.
    """
    request = EnsembleRequest.model_validate(request_json)
    rng = np.random.default_rng([request.seed, 0])
    start = read_training_set(request.start_data) if request.start_data else _EMPTY
    new = read_training_set(request.new_data) if request.new_data else _EMPTY
    for name, data in (("start", start), ("new", new)):
        _require_finite(name, data)
    about = new if len(new) else start
    true_rows = rng.permutation(about.labelled)
    held_out = true_rows[: round(request.validation_fraction * len(true_rows))]
    pseudo, unused = _pseudo_labelled(about, request)
    fresh = about.subset(true_rows[len(held_out) :]) + pseudo
    if len(held_out):
        validation = about.subset(held_out)
    else:
        # Pseudo-labels are no truth to be judged by; the start data's own labels are.
        start_rows = rng.permutation(start.labelled)
        count = round(request.validation_fraction * len(start_rows))
        validation, start = start.subset(start_rows[:count]), start.subset(start_rows[count:])
    replay = _EMPTY
    if len(new):
        replay = start.subset(rng.permutation(start.labelled)[: request.replay_frames])
    train = _focused(fresh + replay, request)
    if not len(validation) or not len(train) or len(train) + len(validation) < _SMALLEST_REFERENCE:
        raise TrainingConfigError(
            f"{len(train)} frames to train on and {len(validation)} to validate with are too few.",
            safe="nothing was trained.",
            next_step=f"bring labelled frames, or start data to replay, to {_SMALLEST_REFERENCE} or more.",
        )
    request.work_dir.mkdir(parents=True, exist_ok=True)
    train_path, validation_path = request.work_dir / "train.npz", request.work_dir / "validation.npz"
    write_training_set(train_path, train)
    write_training_set(validation_path, validation)
    return AssembledData(
        train=train_path,
        train_sha256=sha256_file(train_path),
        validation=validation_path,
        validation_sha256=sha256_file(validation_path),
        train_frames=len(train),
        validation_frames=len(validation),
        pseudo_labelled_frames=len(pseudo),
        unused_frames=unused,
        reference_frames=len(fresh),
    ).model_dump(mode="json")


def member_task(request_json: dict[str, Any], data_json: dict[str, Any], index: int) -> dict[str, Any]:
    """Train one member, write its weights and measure it on the validation set.

    Args:
        request_json: an :class:`EnsembleRequest`.
        data_json: an :class:`AssembledData`.
        index: which member, from 0.

    Returns:
        A :class:`MemberOutcome`.

    Raises:
        TrainingError: see :func:`train_member`.
    """
    request = EnsembleRequest.model_validate(request_json)
    assembled = AssembledData.model_validate(data_json)
    train = _training(assembled).at_working_size(request.preprocessing)
    seed = int(np.random.SeedSequence([request.seed, 1, index]).generate_state(1, np.uint64)[0] >> 2)
    warm = request.warm_start and request.champion
    result = train_member(
        train.frames,
        [truth for truth in train.truths if truth is not None],
        request.network,
        request.member.model_copy(update={"seed": seed}),
        initial_weights=request.champion[index % len(request.champion)].read_bytes() if warm else None,
        preprocessing=request.preprocessing,
        checkpoint_path=member_checkpoint(request.work_dir, index),
        progress=ProgressWriter(request.work_dir / PROGRESS_FOLDER, f"member-{index}"),
        time_limit_s=request.member_time_limit_s,
    )
    path = request.work_dir / f"member-{index}.safetensors"
    write_atomic(path, result.weights)
    ensemble = Ensemble(request.network, [result.weights], preprocessing=request.preprocessing)
    metrics = evaluate_ensemble(
        ensemble, _validation(assembled), decoding=request.decoding, judging=request.judging
    )
    last = result.losses[-max(1, len(result.losses) // 10) :]
    return MemberOutcome(
        index=index,
        weights=path,
        sha256=sha256_file(path),
        f1=metrics["f1"],
        final_loss=float(np.mean(last)),
        seconds=result.seconds,
        resumed_from_step=result.resumed_from_step,
    ).model_dump(mode="json")


def finish_task(
    request_json: dict[str, Any], data_json: dict[str, Any], weights: list[str]
) -> dict[str, Any]:
    """Measure the kept ensemble, fit its drift reference and write its golden files.

    Args:
        request_json: an :class:`EnsembleRequest`.
        data_json: an :class:`AssembledData`.
        weights: safetensors files of the kept members.

    Returns:
        ``metrics``, ``warnings``, ``decoding``, ``drift_reference`` and ``golden`` of an
        :class:`EnsembleResult`.
    """
    request = EnsembleRequest.model_validate(request_json)
    assembled = AssembledData.model_validate(data_json)
    blobs = [Path(path).read_bytes() for path in weights]
    ensemble = Ensemble(request.network, blobs, preprocessing=request.preprocessing)
    validation = _validation(assembled)
    train = _training(assembled)
    decoding = request.decoding
    if request.choose_threshold:
        decoding = with_best_threshold(ensemble, validation, decoding=decoding, judging=request.judging)
    decoding = calibrated(ensemble, validation, decoding=decoding, judging=request.judging)
    if request.lattice_prior:
        decoding = with_lattice_prior(ensemble, validation, decoding=decoding, judging=request.judging)
    # Golden frames are answered without a calibration, so they are kept at the network's own pixel size.
    validation_frames = validation.at_working_size(request.preprocessing).frames
    train_frames = train.at_working_size(request.preprocessing).frames
    # Normal is what the model was retrained for; replayed frames only help where that is too little.
    normal = train_frames[: assembled.reference_frames] + validation_frames
    if len(normal) < _SMALLEST_REFERENCE:
        normal = train_frames + validation_frames
    reference = drift_reference(ensemble, normal[-_LARGEST_REFERENCE:], np.random.default_rng(request.seed))
    golden = []
    for index, frame in enumerate(validation_frames[:_GOLDEN_FRAMES]):
        files = GoldenFiles(
            frame=request.work_dir / f"golden-{index}.npy",
            expected=request.work_dir / f"golden-{index}-expected.npy",
        )
        np.save(files.frame, frame, allow_pickle=False)
        np.save(files.expected, ensemble.infer(frame).maps, allow_pickle=False)
        golden.append(files.model_dump(mode="json"))
    agreement = label_agreement(ensemble, train, decoding, request.judging)
    metrics = evaluate_ensemble(
        ensemble, validation, classes=request.classes, decoding=decoding, judging=request.judging
    )
    return {
        "metrics": {**metrics, "label_agreement": agreement},
        "warnings": label_warnings(agreement, train, request.network.n_classes, request.classes),
        "decoding": decoding.model_dump(mode="json"),
        "drift_reference": reference.model_dump(mode="json"),
        "golden": golden,
    }


def _training(assembled: AssembledData) -> TrainingSet:
    return read_training_set(staged(assembled.train, assembled.train_sha256))


def _validation(assembled: AssembledData) -> TrainingSet:
    return read_training_set(staged(assembled.validation, assembled.validation_sha256))


def _require_finite(name: str, data: TrainingSet) -> None:
    for index, frame in enumerate(data.frames):
        if not np.isfinite(frame).all():
            raise TrainingDataError(
                f"Frame {index} of the {name} data holds NaN or infinity.",
                safe="nothing was trained; the model in production is unchanged.",
                next_step="repair or remove the frame and submit again.",
            )


def _focused(data: TrainingSet, request: EnsembleRequest) -> TrainingSet:
    if request.missed_weight == 1 or not request.champion:
        return data
    return with_focus(data, _champion(request), request.decoding, request.judging, request.missed_weight)


def _champion(request: EnsembleRequest) -> Ensemble:
    blobs = [path.read_bytes() for path in request.champion]
    return Ensemble(request.network, blobs, preprocessing=request.preprocessing)


def _pseudo_labelled(data: TrainingSet, request: EnsembleRequest) -> tuple[TrainingSet, int]:
    unlabelled = [index for index, truth in enumerate(data.truths) if truth is None]
    if not unlabelled or not request.champion:
        return _EMPTY, len(unlabelled)
    champion = _champion(request)
    proposals = {
        index: truth
        for index in unlabelled
        if (
            truth := pseudo_truth(
                champion,
                data.frames[index],
                request.decoding,
                request.pseudo_labelling,
                pixel_size_m=data.pixel_sizes_m[index],
            )
        )
        is not None
    }
    labelled = TrainingSet(
        tuple(data.frames[index] for index in proposals),
        tuple(proposals.values()),
        tuple(data.pixel_sizes_m[index] for index in proposals),
    )
    return labelled, len(unlabelled) - len(labelled)
