"""How far chips lie from the prototype of their class, as measured for an encoder on simulated specimens."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from eucentric_core import FrozenModel

from .errors import EncoderError

OWN_SHARE = 0.5
"""What the support set says of its own distances counts as much as what is usual: chosen on simulated
specimens, where it finds a third more chips of unknown classes at the same rate of false rejections."""

LEVELS = (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Shares of chips for which distances are kept."""

DISTANCES_FILE = "typical-distances.json"
_SHIPPED = Path(__file__).parents[1] / "shipped" / "textures" / DISTANCES_FILE


class TypicalDistances(FrozenModel):
    """Distances of chips of a class that changes over the image and that has support from a part of it.

    The excess of a chip is the logarithm of its distance less :data:`OWN_SHARE` of the class's own mean
    logarithm (support chips left out once).

    Attributes:
        encoder: version that it holds for.
        specimens: how many simulated ones it was measured on.
        excess: that so many chips of the classes exceed, by :data:`LEVELS`.
    """

    encoder: Annotated[str, Field(min_length=1, max_length=200)]
    specimens: Annotated[int, Field(ge=1)]
    excess: Annotated[tuple[float, ...], Field(min_length=len(LEVELS), max_length=len(LEVELS))]

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if not all(low < high for low, high in zip(self.excess, self.excess[1:], strict=False)):
            raise ValueError("fewer chips exceed more: excess must ascend")
        return self

    def share_beyond(self, excess: NDArray[np.floating]) -> NDArray[np.float32]:
        """(n,) share of chips of a class that exceed each value; an exponential tail beyond what was seen."""
        known, log_share = np.array(self.excess), np.log(LEVELS)
        found = np.interp(excess, known, log_share)
        for end, inner in ((0, 1), (-1, -2)):
            slope = (log_share[end] - log_share[inner]) / (known[end] - known[inner])
            beyond = excess < known[0] if end == 0 else excess > known[-1]
            found = np.where(beyond, log_share[end] + slope * (excess - known[end]), found)
        return np.exp(np.minimum(found, 0.0)).astype(np.float32)

    def excess_at(self, share: float) -> float:
        """Excess that so many chips of a class exceed: the inverse of :meth:`share_beyond`."""
        if share <= 0:
            return float("inf")
        known, log_share = np.array(self.excess), np.log(LEVELS)
        wanted = float(np.log(share))
        for end, inner in ((0, 1), (-1, -2)):
            if (wanted > log_share[0]) if end == 0 else (wanted < log_share[-1]):
                slope = (log_share[end] - log_share[inner]) / (known[end] - known[inner])
                return float(known[end] + (wanted - log_share[end]) / slope)
        return float(np.interp(-wanted, -log_share, known))


@lru_cache(maxsize=1)
def shipped_distances() -> dict[str, TypicalDistances]:
    """What is known of the shipped encoders, by version; those of earlier releases stay known.

    Raises:
        EncoderError: the file is missing or damaged.
    """
    return read_distances(_SHIPPED)


def read_distances(path: Path) -> dict[str, TypicalDistances]:
    """Distances in a file, by version of the encoder.

    Raises:
        EncoderError: the file is missing or damaged.
    """
    try:
        found = TypeAdapter(tuple[TypicalDistances, ...]).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise EncoderError(
            f"The typical distances of the encoders cannot be read: {error}.",
            safe="nothing was classified.",
            next_step="install the package again.",
        ) from error
    return {entry.encoder: entry for entry in found}
