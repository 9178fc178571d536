"""A model shows that it works: the answers to its golden inputs are those that it was made with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..plain_array import read_npy
from ._errors import unusable_model
from ._protocols import EngineModel

__all__ = ["read_plain_array", "require_golden_answers"]


def require_golden_answers(folder: Path, model: EngineModel) -> None:
    """Refuse a model whose answers differ from those it was made with.

    Raises:
        EngineError: an answer has another shape, or is further away than allowed.
        ModelsError: a golden input does not fit the model.
    """
    for chip in model.description.golden:
        expected = read_plain_array(folder / chip.expected)
        answer = model.answer(read_plain_array(folder / chip.frame))
        if answer.shape != expected.shape:
            raise unusable_model(f"{chip.expected} does not belong to {chip.frame}.")
        difference = float(np.abs(answer - expected).max())
        # Written so that NaN fails as well.
        if not difference <= chip.max_abs_error:
            raise unusable_model(
                f"On {chip.frame} the model answers {difference:.3g} away from what it was made with; "
                f"{chip.max_abs_error:.3g} is allowed."
            )


def read_plain_array(path: Path) -> NDArray[np.number]:
    """A `.npy` of plain real numbers; anything else is refused.

    Raises:
        EngineError: it is something else, or damaged.
    """
    try:
        return read_npy(path)
    except (OSError, ValueError) as error:
        raise unusable_model(f"{path.name} is not a plain array: {error}.") from error
