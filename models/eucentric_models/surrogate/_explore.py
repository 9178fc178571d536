"""Measure, learn, choose the next point: with a log of every choice and why it was made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from eucentric_core import FrozenModel, write_atomic

from ._acquisition import ACQUISITIONS

__all__ = ["AcquisitionLog", "AcquisitionRecord", "Surrogate", "explore"]


class AcquisitionRecord(FrozenModel):
    """One measurement, and what was expected of it. The first ones are drawn, nothing is expected of them."""

    number: Annotated[int, Field(ge=0)]
    y_px: int
    x_px: int
    chosen_by: str
    worth: float | None = None
    expected: float | None = None
    expected_deviation: float | None = None
    value: float


class AcquisitionLog(FrozenModel):
    """The measurements in their order."""

    records: tuple[AcquisitionRecord, ...] = ()

    @property
    def best(self) -> float:
        """The largest value measured."""
        return max(record.value for record in self.records)

    def write(self, path: Path) -> None:
        """Write it as one JSON file; a reader sees all of it or none."""
        write_atomic(path, self.model_dump_json(indent=2).encode())


class Surrogate(Protocol):
    """Learns from measured points and predicts the others."""

    def fit(self, patches: NDArray[np.float32], values: NDArray[np.float64]) -> None:
        """Learn from patches (n, p) and their values (n,)."""

    def predict(self, patches: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation (m,) each, for patches (m, p)."""


def explore(
    surrogate: Surrogate,
    patches: NDArray[np.float32],
    positions_px: NDArray[np.integer],
    measure: Callable[[int], float],
    *,
    acquisition: str,
    initial: int,
    budget: int,
    rng: np.random.Generator,
    enough: Callable[[float], bool] = lambda value: False,
    told: Callable[[AcquisitionRecord], None] = lambda record: None,
) -> AcquisitionLog:
    """Search for the largest value of a property.

    Args:
        surrogate: learns as measurements come in.
        patches: (n, p) of the candidates.
        positions_px: (n, 2) where they are.
        measure: measures the candidate of this index.
        acquisition: one of `ACQUISITIONS`.
        initial: candidates that are drawn, before the surrogate is asked.
        budget: measurements in all.
        rng: draws the first candidates.
        enough: whether a value ends the search.
        told: told about every measurement as it is made, so that a person can stop a search that is stuck.

    Raises:
        ValueError: an unknown acquisition function, or a budget that does not cover the first candidates.
    """
    if acquisition not in ACQUISITIONS:
        raise ValueError(f"acquisition must be one of {', '.join(sorted(ACQUISITIONS))}, not {acquisition!r}")
    if not 2 <= initial <= budget <= len(patches):
        raise ValueError(f"{initial} first candidates, {budget} measurements and {len(patches)} candidates")
    records: list[AcquisitionRecord] = []
    measured: list[int] = []

    def take(index: int, chosen_by: str, **expectation: float) -> bool:
        y, x = (int(side) for side in positions_px[index])
        record = AcquisitionRecord(
            number=len(records), y_px=y, x_px=x, chosen_by=chosen_by, value=measure(index), **expectation
        )
        measured.append(index)
        records.append(record)
        told(record)
        return enough(record.value)

    for index in rng.choice(len(patches), initial, replace=False).tolist():
        if take(index, "chance"):
            return AcquisitionLog(records=tuple(records))
    while len(records) < budget:
        values = np.array([record.value for record in records])
        surrogate.fit(patches[measured], values)
        mean, deviation = surrogate.predict(patches)
        worth = ACQUISITIONS[acquisition](mean, deviation, float(values.max()))
        worth[measured] = -np.inf
        index = int(worth.argmax())
        if take(
            index,
            acquisition,
            worth=float(worth[index]),
            expected=float(mean[index]),
            expected_deviation=float(deviation[index]),
        ):
            break
    return AcquisitionLog(records=tuple(records))
