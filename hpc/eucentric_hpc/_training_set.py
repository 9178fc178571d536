"""Frames with their truth on disk: one ``.npz`` without pickle, written once and passed by path."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric_core import write_atomic
from eucentric_models import Preprocessing, at_working_size, rescaled_positions

from ._training_errors import TrainingDataError

_SCHEMA = 1
TRUTH_COLUMNS = (3, 4)
"""``y_px, x_px, class_id`` and, where there is one, the weight in the loss."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Raw frames, truth and calibration.

    Attributes:
        frames: one (ny, nx) array of raw counts each, any real dtype; sizes may differ.
        truths: one (n, 3) float32 array of rows ``y_px, x_px, class_id`` each, None where a frame has none.
            Class ids that are not below the number of detectable classes mark places that neither training
            nor scoring looks at. A fourth column, where there is one, weighs the place in the loss.
        pixel_sizes_m: one calibration each.
    """

    frames: tuple[NDArray[np.generic], ...]
    truths: tuple[NDArray[np.float32] | None, ...]
    pixel_sizes_m: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.frames) == len(self.truths) == len(self.pixel_sizes_m):
            raise _unusable("frames, truths and pixel sizes have different lengths")
        for index, (frame, truth, size) in enumerate(
            zip(self.frames, self.truths, self.pixel_sizes_m, strict=True)
        ):
            if frame.ndim != 2 or frame.dtype.kind not in "buif":
                raise _unusable(f"frame {index} is {frame.dtype} {frame.shape}, not a real 2D array")
            if truth is not None and (
                truth.ndim != 2 or truth.shape[1] not in TRUTH_COLUMNS or not np.isfinite(truth).all()
            ):
                raise _unusable(f"the truth of frame {index} is not a finite (n, 3) or (n, 4) array")
            if not 1e-13 <= size <= 1e-6:
                raise _unusable(f"the pixel size of frame {index} is {size} m")

    def __len__(self) -> int:
        return len(self.frames)

    def __add__(self, other: TrainingSet) -> TrainingSet:
        return TrainingSet(
            self.frames + other.frames, self.truths + other.truths, self.pixel_sizes_m + other.pixel_sizes_m
        )

    def subset(self, indices: Sequence[int] | NDArray[np.integer]) -> TrainingSet:
        """The frames with the given indices, in that order."""
        return TrainingSet(
            tuple(self.frames[i] for i in indices),
            tuple(self.truths[i] for i in indices),
            tuple(self.pixel_sizes_m[i] for i in indices),
        )

    def at_working_size(self, preprocessing: Preprocessing) -> TrainingSet:
        """Frames and truth at the pixel size that networks with this preprocessing work at.

        Raises:
            InvalidFrameError: a frame is not finite, or its pixel size is out of reach.
        """
        if preprocessing.working_pixel_size_m is None:
            return self
        frames, truths, sizes = [], [], []
        for frame, truth, pixel_size_m in zip(self.frames, self.truths, self.pixel_sizes_m, strict=True):
            working, scale = at_working_size(frame, preprocessing, pixel_size_m)
            frames.append(frame if scale == 1 else working)
            truths.append(None if truth is None else _rescaled(truth, scale))
            sizes.append(pixel_size_m / scale)
        return TrainingSet(tuple(frames), tuple(truths), tuple(sizes))

    @property
    def labelled(self) -> NDArray[np.intp]:
        """Indices of the frames that have truth."""
        return np.flatnonzero([truth is not None for truth in self.truths])


def _rescaled(truth: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    return np.column_stack([rescaled_positions(truth[:, :2], scale), truth[:, 2:]]).astype(np.float32)


def write_training_set(path: Path, data: TrainingSet) -> None:
    """Write a training set durably; a reader sees all of it or none."""
    arrays: dict[str, NDArray[np.generic]] = {
        "schema": np.array(_SCHEMA),
        "pixel_sizes_m": np.array(data.pixel_sizes_m, np.float64),
    }
    for index, (frame, truth) in enumerate(zip(data.frames, data.truths, strict=True)):
        arrays[f"frame_{index:06d}"] = frame
        if truth is not None:
            arrays[f"truth_{index:06d}"] = truth.astype(np.float32)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())


def read_training_set(path: Path) -> TrainingSet:
    """Read a training set.

    Raises:
        TrainingDataError: the file is missing, damaged, or not a training set.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            if int(archive["schema"]) != _SCHEMA:
                raise _unusable(f"{path.name} has schema {int(archive['schema'])}, not {_SCHEMA}")
            sizes = archive["pixel_sizes_m"].tolist()
            names = set(archive.files)
            return TrainingSet(
                tuple(archive[f"frame_{i:06d}"] for i in range(len(sizes))),
                tuple(
                    archive[f"truth_{i:06d}"] if f"truth_{i:06d}" in names else None
                    for i in range(len(sizes))
                ),
                tuple(sizes),
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _unusable(f"{path.name} is not a readable training set ({error})") from error


def _unusable(reason: str) -> TrainingDataError:
    return TrainingDataError(
        f"The training data cannot be used: {reason}.",
        safe="nothing was trained and no file was changed.",
        next_step="write the set again with write_training_set.",
    )
