"""The ground truth of a frame, as a frame of its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eucentric_core import Frame, FrameHeader

__all__ = ["truth_of"]


def truth_of(header: FrameHeader, rows: npt.NDArray[np.float32], classes: tuple[str, ...]) -> Frame:
    """The `truth` frame of the acquisition that `header` (`haadf`) belongs to; publish it first.

    Args:
        header: of the image.
        rows: (n, 3) float32, `y_px, x_px, class_id`.
        classes: names of the class ids.
    """
    changed = {"stream": "truth", "shape": rows.shape, "dtype": rows.dtype.name, "axes": ()}
    return Frame(header.model_copy(update={**changed, "classes": classes}), rows)
