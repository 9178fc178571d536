"""What can be said about labelled frames before an ensemble is trained on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .._elit_models import ElitParameters
from .._training_errors import TrainingDataError
from .._training_set import TrainingSet, read_training_set
from ._report import DataReport

__all__ = ["check_frames"]


def check_frames(
    start: Path | None, new: Path | None, champion: tuple[Path, ...], parameters: ElitParameters
) -> DataReport:
    """Refuse frames that would poison a training, and say what the others are good for.

    Raises:
        TrainingDataError: no input, an empty one, a frame with NaN or infinity, a frame smaller than a crop,
            a class id below 0, or nothing that is labelled or could be.
    """
    if start is None and new is None:
        raise _unusable("neither start nor new data were given")
    sets = {name: read_training_set(path) for name, path in (("start", start), ("new", new)) if path}
    warnings: list[str] = []
    for name, data in sets.items():
        _require_sound(name, data, parameters)
        warnings += _oddities(name, data, parameters)
    labelled = {name: len(data.labelled) for name, data in sets.items()}
    bare = sum(len(data) - labelled[name] for name, data in sets.items())
    if not any(labelled.values()):
        raise _unusable("no frame has a truth: there is nothing to validate by")
    return DataReport(
        plan=_plan(sets, labelled, bare, champion, parameters),
        warnings=tuple(warnings),
        counts={
            **{f"{name}_frames": len(data) for name, data in sets.items()},
            **{f"{name}_labelled": count for name, count in labelled.items()},
        },
    )


def _require_sound(name: str, data: TrainingSet, parameters: ElitParameters) -> None:
    if not len(data):
        raise _unusable(f"the {name} data hold no frame")
    crop_px = parameters.member.crop_px
    for index, (frame, truth) in enumerate(zip(data.frames, data.truths, strict=True)):
        if not np.isfinite(frame).all():
            raise _unusable(f"frame {index} of the {name} data holds NaN or infinity")
        if min(frame.shape) < crop_px:
            raise _unusable(
                f"frame {index} of the {name} data has {frame.shape} pixels, less than a crop of {crop_px}"
            )
        if truth is not None and len(truth) and truth[:, 2].min() < 0:
            raise _unusable(f"the truth of frame {index} of the {name} data has a class below 0")


def _oddities(name: str, data: TrainingSet, parameters: ElitParameters) -> list[str]:
    found = []
    flat = sum(1 for frame in data.frames if frame.min() == frame.max())
    if flat:
        found.append(f"{flat} of {len(data)} {name} frames are constant: they teach nothing.")
    classes = parameters.network.n_classes
    rows = [truth for truth in data.truths if truth is not None and len(truth)]
    counts = np.zeros(classes, int)
    outside = 0
    for index, truth in enumerate(data.truths):
        if truth is None or not len(truth):
            continue
        ids = truth[:, 2].astype(int)
        counts += np.bincount(ids[ids < classes], minlength=classes)
        y, x = truth[:, 0], truth[:, 1]
        ny, nx = data.frames[index].shape
        outside += int(((y < -0.5) | (x < -0.5) | (y > ny - 0.5) | (x > nx - 0.5)).sum())
    if rows and (absent := [str(index) for index in np.flatnonzero(counts == 0)]):
        names = [parameters.classes[int(i)] if int(i) < len(parameters.classes) else i for i in absent]
        found.append(f"No {name} frame shows the class {', '.join(names)}: it cannot be learned from them.")
    if outside:
        found.append(f"{outside} labels of the {name} data lie outside of their frames.")
    return found


def _plan(
    sets: dict[str, TrainingSet],
    labelled: dict[str, int],
    bare: int,
    champion: tuple[Path, ...],
    parameters: ElitParameters,
) -> tuple[str, ...]:
    plan = [
        f"Train {parameters.members} members for {parameters.member.steps} steps each on "
        + " and ".join(
            f"{len(data)} {name} frames ({labelled[name]} labelled)" for name, data in sets.items()
        )
        + "."
    ]
    if bare and champion:
        bound = parameters.pseudo_labelling.confidence_bound
        plan.append(
            f"{bare} frames without truth get the champion's labels where it is {bound:g} sure or more."
        )
    elif bare:
        plan.append(f"{bare} frames without truth are left out: there is no champion to label them.")
    if champion and parameters.warm_start:
        plan.append("Members start from the champion's weights.")
    return tuple(plan)


def _unusable(reason: str) -> TrainingDataError:
    return TrainingDataError(
        f"The training data cannot be used: {reason}.",
        safe="nothing was trained; the model in production is unchanged.",
        next_step="mend or remove what is named and submit again.",
    )
