"""How good a model is on data that it was not trained on, and so whether a new one replaces an old one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from eucentric_core import FrozenModel
from eucentric_models.engines import EngineModel, ModelDescription, engine_named

from .._training_errors import TrainingConfigError
from ._data import RecipeData
from ._protocol import Recipe
from ._registry import recipe_named

__all__ = ["Merit", "ScoringRecipe", "merits_of", "score_model"]


class Merit(FrozenModel):
    """A number that says how good a model is.

    Attributes:
        name: with its unit; shares and ratios have none.
        better: which way is better.
        bound: a model that is worse than this is of no use, whatever came before it; None where no such
            value is known.
    """

    name: str
    better: Literal["lower", "higher"]
    bound: float | None = None


@runtime_checkable
class ScoringRecipe(Protocol):
    """A recipe that can judge models of its engine; policies retrain by such recipes only."""

    @property
    def merits(self) -> tuple[Merit, ...]:
        """What decides about a model, the most important first: that one must get better."""

    def score(self, model: EngineModel, data: RecipeData) -> Mapping[str, float]:
        """Hold a model against data; runs on a worker, and must not depend on anything but its arguments.

        Args:
            model: of the recipe's engine, by whomever it was trained.
            data: the recipe's own inputs, as far as there are any that nobody trained on.

        Returns:
            Finite numbers by name: at least all of `merits`.

        Raises:
            TrainingDataError: these data cannot judge a model; says what is missing.
            ModelsError: the model cannot be applied to them.
        """


def merits_of(recipe: Recipe) -> tuple[Merit, ...]:
    """What a recipe's models are judged by.

    Raises:
        TrainingConfigError: it cannot judge models.
    """
    return _scoring(recipe).merits


def score_model(
    recipe: str, folder: str, description: dict[str, Any], data: dict[str, Any]
) -> dict[str, float]:
    """Open a model and hold it against data; runs on a worker, so plain JSON goes in and out.

    Args:
        recipe: name of the recipe.
        folder: verified files of the model.
        description: a `ModelDescription`.
        data: a `RecipeData`.

    Raises:
        TrainingConfigError: the recipe is not installed here, or cannot judge models.
        TrainingDataError: the data cannot judge a model.
        ModelsError: the model cannot be opened or applied.
    """
    judge = _scoring(recipe_named(recipe))
    described = ModelDescription.model_validate(description)
    model = engine_named(described.engine).open(Path(folder), described)
    return dict(judge.score(model, RecipeData.model_validate(data)))


def _scoring(recipe: Recipe) -> ScoringRecipe:
    if isinstance(recipe, ScoringRecipe) and recipe.merits:
        return recipe
    raise TrainingConfigError(
        f"The recipe {recipe.name!r} cannot judge models, so nobody knows whether a new one is better.",
        safe="nothing was trained.",
        next_step="give it `merits` and `score` (docs/recipes.md), or train by hand and publish.",
    )
