"""Recipes by name, from the entry point group `eucentric.recipes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from eucentric_core import explain_problem, installed_names, load_installed

from .._training_errors import TrainingConfigError
from ._protocol import Recipe

__all__ = ["parameters_of", "recipe_named", "recipes"]

_GROUP = "eucentric.recipes"


def recipes() -> tuple[str, ...]:
    """Names of the recipes that are installed, without importing them."""
    return installed_names(_GROUP)


def recipe_named(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        TrainingConfigError: none or several are installed, or it cannot be imported or is none.
    """
    recipe = load_installed(
        _GROUP,
        name,
        kind="a recipe",
        needs="install what it needs (docs/recipes.md names the extras).",
        is_one=lambda loaded: isinstance(loaded, Recipe) and loaded.name == name,
        refuse=_unusable,
    )
    return cast("Recipe", recipe)


def parameters_of(recipe: Recipe, given: Mapping[str, Any]) -> BaseModel:
    """A recipe's parameters from plain values.

    Raises:
        TrainingConfigError: a name is unknown or a value is out of bounds.
    """
    try:
        return recipe.Parameters.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(explain_problem(dict(problem)) for problem in error.errors())
        raise _unusable(
            f"The parameters of recipe {recipe.name!r} are wrong: {problems}.", "correct the parameters."
        ) from error


def _unusable(what: str, next_step: str) -> TrainingConfigError:
    return TrainingConfigError(what, safe="nothing was trained.", next_step=next_step)
