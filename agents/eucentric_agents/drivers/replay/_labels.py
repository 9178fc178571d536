"""What is known to be in an image: where the columns are, and of which class each is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric_core import Frame

from ._errors import refuse

__all__ = ["Labels", "labels_of_truth"]


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one image.

    Attributes:
        rows: (n, 3) float32 rows `y_px, x_px, class_id`. A pixel's centre has whole coordinates: an image
            of `ny` rows reaches from -0.5 to `ny - 0.5`.
        classes: names of the class ids.
    """

    rows: NDArray[np.float32]
    classes: tuple[str, ...]

    def within(self, *, top_px: int, left_px: int, height_px: int, width_px: int) -> Labels:
        """The labels of a part of the image, in the coordinates of that part."""
        rows = self.rows - np.array([top_px, left_px, 0], np.float32)
        inside = np.all((rows[:, :2] >= -0.5) & (rows[:, :2] < np.array([height_px, width_px]) - 0.5), axis=1)
        return Labels(rows[inside], self.classes)


def labels_of_truth(name: str, truth: Frame) -> Labels:
    """The labels that a frame of a `truth` stream holds.

    Args:
        name: what to call the file in errors.
        truth: rows and classes as `FrameHeader` describes them.

    Raises:
        DataFormatError: the rows are not such rows, or a class id has no name.
    """
    header = truth.header
    if len(header.shape) != 2 or header.shape[1] != 3 or header.dtype != "float32":
        raise refuse(
            name, f"truth {header.sequence} is {header.dtype}{list(header.shape)}, not float32[n, 3]"
        )
    rows = np.asarray(truth.array, np.float32)
    ids = rows[:, 2]
    last = len(header.classes) - 1 if header.classes else np.inf
    if not np.isfinite(rows).all() or np.any((ids != np.rint(ids)) | (ids < 0) | (ids > last)):
        raise refuse(name, f"truth {header.sequence} holds a row that is no position and class")
    return Labels(rows, header.classes)
