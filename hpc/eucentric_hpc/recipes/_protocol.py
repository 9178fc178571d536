"""The seam between whoever wants a model trained and the way to train it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from eucentric_models.engines import BundleDraft

from ._data import RecipeData
from ._progress import RecipeProgress
from ._report import DataReport

__all__ = ["Recipe"]


@runtime_checkable
class Recipe(Protocol):
    """Data in, bundle draft out. Registered by an entry point of its name in the group `eucentric.recipes`.

    What holds for all (tests/hpc/test_recipes.py is run over every recipe that is installed): the same data,
    parameters and seed give the same files; no global state is changed (random generators, default dtype,
    number of threads); data that cannot be trained on are refused before anything is trained; weights are
    finite; a training that is repeated in the same `work_dir` goes on where it was, or starts anew.
    """

    @property
    def name(self) -> str:
        """As flows and commands name it."""

    @property
    def engine(self) -> str:
        """The engine of `eucentric_models` that reads what it makes."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """Names of the inputs, each with a sentence that says what its files hold."""

    @property
    def Parameters(self) -> type[BaseModel]:  # noqa: N802 - it is a class
        """A frozen pydantic model, with bounds, and units in its names."""

    def check(self, data: RecipeData, parameters: Any) -> DataReport:
        """Look at the data and say what would be done with them.

        Args:
            data: what to train from.
            parameters: of this recipe's `Parameters`.

        Raises:
            TrainingDataError: they cannot be trained on; says why.
            TrainingConfigError: data and parameters do not fit each other.
        """

    def train(
        self,
        executor: Executor,
        data: RecipeData,
        parameters: Any,
        work_dir: Path,
        *,
        progress: RecipeProgress | None = None,
    ) -> BundleDraft:
        """Train a model.

        Args:
            executor: where the work runs; it stays open.
            data: what to train from.
            parameters: of this recipe's `Parameters`.
            work_dir: for checkpoints and results; made if need be, and the same for caller and workers.
            progress: called as the training goes on.

        Raises:
            TrainingError: the data were refused, or the training failed; says what is kept.
        """
