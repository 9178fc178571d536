"""What `elit.py` lets Eucentric do: train an ensemble, judge it, iterate once on unlabelled frames."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from _elit_data import PIXEL_SIZE_M, SUBJECTS
from numpy.typing import NDArray

from eucentric_hpc import (
    Augmentation,
    EnsembleRequest,
    MemberConfig,
    PseudoLabelling,
    TrainingSet,
    evaluate_ensemble,
    train_ensemble,
    train_member,
    write_training_set,
)
from eucentric_models import Decoding, NetworkSpec, Preprocessing
from eucentric_models.networks import Ensemble

PREPROCESSING = Preprocessing(working_pixel_size_m=PIXEL_SIZE_M, flatten_sigma_px=24.0)
# The ensemble chooses its own threshold on held-out frames; this one is for a network alone.
DECODING = Decoding(peak_sigma_px=2.0, threshold=0.55, min_distance_px=4)
TRAINING = MemberConfig(
    steps=800,
    batch_size=8,
    crop_px=96,
    learning_rate=8e-3,
    swa_fraction=0.2,
    target_sigma_px=DECODING.peak_sigma_px,
    # Higher ones learn faster, and make a network claim peaks in the hollow sites of a honeycomb.
    positive_weight=2.0,
    augmentation=Augmentation(
        zoom=0.08,
        rotation_rad=0.3,
        shear=0.05,
        wobble_px=2.0,
        row_jitter_px=0.7,
        blur_px=3.0,
        background=0.5,
        speckle=1.5,
        contrast=0.15,
        noise=0.1,
    ),
)
RETRAINING = TRAINING.model_copy(update={"steps": 100, "learning_rate": 4e-3})
MEMBERS = 2
TRIED_STEPS = (60, 120, 240, 480, 960)


@dataclass(frozen=True, slots=True)
class Model:
    """A trained ensemble, as it is used.

    Attributes:
        ensemble: to infer with.
        decoding: with calibrated confidences.
        weights: safetensors files of its members.
        cpu_s: processor time of everything its training took: assembling, members, selection, calibration.
        wall_s: the same by the clock.
    """

    ensemble: Ensemble
    decoding: Decoding
    weights: tuple[Path, ...]
    cpu_s: float
    wall_s: float

    def at_the_edge(self, members: int) -> Model:
        """Its first members alone, in the arithmetic that an edge uses."""
        ensemble = Ensemble(
            self.ensemble.spec,
            [path.read_bytes() for path in self.weights[:members]],
            preprocessing=self.ensemble.preprocessing,
            precision="bfloat16",
        )
        return replace(self, ensemble=ensemble, weights=self.weights[:members])


def network(name: str) -> NetworkSpec:
    """Architecture for a material."""
    return NetworkSpec(n_classes=SUBJECTS[name].classes, base_filters=16, depth=2, stem_factor=4)


def train(name: str, frames: TrainingSet, folder: Path, *, steps: int = TRAINING.steps) -> Model:
    """A first ensemble from labelled simulated frames."""
    folder.mkdir(parents=True, exist_ok=True)
    write_training_set(folder / "start.npz", frames)
    request = EnsembleRequest(
        work_dir=folder / f"steps-{steps}",
        network=network(name),
        member=TRAINING.model_copy(update={"steps": steps}),
        members=MEMBERS,
        start_data=folder / "start.npz",
        preprocessing=PREPROCESSING,
        decoding=DECODING,
        choose_threshold=True,
        lattice_prior=True,
        smallest_ensemble=1,
        seed=1,
    )
    return _trained(request)


def iterate(
    name: str,
    champion: Model,
    start: Path,
    frames: TrainingSet,
    folder: Path,
    *,
    steps: int = RETRAINING.steps,
) -> Model:
    """One iteration of ELIT on unlabelled frames."""
    folder.mkdir(parents=True, exist_ok=True)
    write_training_set(folder / "new.npz", frames)
    request = EnsembleRequest(
        work_dir=folder,
        network=network(name),
        member=RETRAINING.model_copy(update={"steps": steps}),
        members=MEMBERS,
        start_data=start,
        new_data=folder / "new.npz",
        replay_frames=16,
        champion=champion.weights,
        pseudo_labelling=PseudoLabelling(confidence_bound=0.8, smallest_sure_share=0.5, symmetries=True),
        missed_weight=4.0,
        preprocessing=PREPROCESSING,
        decoding=champion.decoding,
        smallest_ensemble=1,
        seed=2,
    )
    return _trained(request)


def time_to(name: str, frames: TrainingSet, judged: TrainingSet, f1: float) -> dict[str, float]:
    """The shortest of a few trainings of one network whose F1 on judged frames is as high: its cost.

    `reached` is 0 when none of them was enough; the figures are then those of the longest.
    """
    truths = [truth for truth in frames.truths if truth is not None]
    for steps in TRIED_STEPS:
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        recipe = TRAINING.model_copy(update={"steps": steps, "seed": 1})
        trained = train_member(frames.frames, truths, network(name), recipe, preprocessing=PREPROCESSING)
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
        ensemble = Ensemble(network(name), [trained.weights], preprocessing=PREPROCESSING)
        reached = evaluate_ensemble(ensemble, judged, decoding=DECODING)["f1"]
        if reached >= f1:
            break
    return {"reached": float(reached >= f1), "steps": steps, "f1": reached, "cpu_s": cpu_s, "wall_s": wall_s}


def response_to_displacement(
    model: Model, frames: TrainingSet, displaced: Sequence[NDArray[np.float64]], *, lattice_prior: bool
) -> float:
    """How much of a real displacement our positions show, see :func:`response`."""
    decoding = model.decoding if lattice_prior else model.decoding.model_copy(update={"lattice_prior": None})
    found = [
        model.ensemble.infer(frame, pixel_size_m=size).detections(decoding).positions_px
        for frame, size in zip(frames.frames, frames.pixel_sizes_m, strict=True)
    ]
    return response(found, displaced)


def response(found_px: Sequence[NDArray[np.floating]], displaced: Sequence[NDArray[np.float64]]) -> float:
    """Share of their displacement by which displaced columns are found beside the lattice.

    Args:
        found_px: (n, 2) positions, one array a frame.
        displaced: of :func:`_elit_data.displaced_frames`.

    Returns:
        1 where positions follow the image, 0 where they follow the lattice; mean over the columns.
    """
    shares = []
    for positions, rows in zip(found_px, displaced, strict=True):
        for place, step in zip(rows[:, :2], rows[:, 2:], strict=True):
            apart = positions - place
            nearest = apart[np.hypot(*(apart - step).T).argmin()]
            if np.hypot(*(nearest - step)) < np.hypot(*step) * 1.5:
                shares.append(float(nearest @ step / (step @ step)))
    return float(np.mean(shares)) if shares else float("nan")


def judge(name: str, model: Model, frames: TrainingSet) -> dict[str, float]:
    """Metrics on labelled frames, :func:`eucentric_hpc.evaluate_ensemble`.

    Beside them ``position_rmse_without_prior_m``, of the positions as the networks alone place them.
    """
    classes = SUBJECTS[name].material.classes[: SUBJECTS[name].classes]
    metrics = evaluate_ensemble(model.ensemble, frames, classes=classes, decoding=model.decoding)
    plain = model.decoding.model_copy(update={"lattice_prior": None})
    without = evaluate_ensemble(model.ensemble, frames, decoding=plain)
    if "position_rmse_m" in without:
        metrics["position_rmse_without_prior_m"] = without["position_rmse_m"]
    return metrics


def _trained(request: EnsembleRequest) -> Model:
    # One thread of this process: processor time is then all the training's, and nobody else's.
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(1) as executor:
        result = train_ensemble(executor, request)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    blobs = [path.read_bytes() for path in result.weights]
    ensemble = Ensemble(request.network, blobs, preprocessing=request.preprocessing)
    return Model(ensemble, result.decoding, result.weights, cpu_s, wall_s)


def start_file(folder: Path) -> Path:
    """Where :func:`train` left the start data."""
    return folder / "start.npz"
