"""Measurements of a property and the patches of the image around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eucentric_models import ModelsError
from eucentric_models.engines import read_plain_array
from eucentric_models.surrogate import patches_at

from .._training_errors import TrainingDataError
from ._data import RecipeData

__all__ = ["read_measured", "unusable"]


def read_measured(
    data: RecipeData, patch_px: int, *, fewest: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """What was measured, and what the image shows there.

    Args:
        data: `image` (ny, nx) and `measured`, rows y_px, x_px, value.
        patch_px: side of a patch, odd.
        fewest: measurements that are needed.

    Returns:
        Patches (n, patch_px ** 2) in units of the image, and values (n,).

    Raises:
        TrainingDataError: the data cannot be used.
    """
    if patch_px % 2 == 0:
        raise unusable(f"a patch of {patch_px} pixels has no middle: its side must be odd")
    try:
        image, table = (read_plain_array(data.one(name)) for name in ("image", "measured"))
        if table.ndim != 2 or table.shape[1] != 3 or not np.isfinite(table).all():
            raise unusable(
                f"the table is {table.dtype}{list(table.shape)}, not finite rows y_px, x_px, value"
            )
        if len(table) < fewest:
            raise unusable(f"{len(table)} measurements were given, {fewest} are needed")
        patches = patches_at(image, np.rint(table[:, :2]).astype(int), patch_px)
    except ModelsError as error:
        raise unusable(error.what.rstrip(".")) from error
    return patches, table[:, 2].astype(np.float64)


def unusable(reason: str) -> TrainingDataError:
    """The error for measurements that cannot be used."""
    return TrainingDataError(
        f"The training data cannot be used: {reason}.",
        safe="nothing was trained and no file was changed.",
        next_step="mend what is named and submit again.",
    )
