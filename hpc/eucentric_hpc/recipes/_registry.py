"""Recipes by name, from the entry point group `eucentric.recipes`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import BaseModel, ValidationError

from eucentric_core import explain_problem

from .._training_errors import TrainingConfigError
from ._protocol import Recipe

__all__ = ["parameters_of", "recipe_named", "recipes"]

_GROUP = "eucentric.recipes"


def recipes() -> tuple[str, ...]:
    """Names of the recipes that are installed, without importing them."""
    return tuple(sorted({entry.name for entry in entry_points(group=_GROUP)}))


def recipe_named(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        TrainingConfigError: none or several are installed, or it cannot be imported or is none.
    """
    # One distribution may be found twice, from its source and from its installation.
    found: dict[str, EntryPoint] = {entry.value: entry for entry in entry_points(group=_GROUP, name=name)}
    if not found:
        raise _unusable(
            f"There is no recipe {name!r} on this machine; there are {', '.join(recipes()) or 'none'}.",
            "install the package that brings it, or run `make install` after an update of the source.",
        )
    if len(found) > 1:
        raise _unusable(
            f"Several packages bring a recipe {name!r}: {', '.join(sorted(found))}.", "remove all but one."
        )
    (entry,) = found.values()
    try:
        recipe = entry.load()
    except (ImportError, AttributeError) as error:
        raise _unusable(
            f"The recipe {name!r} cannot be imported from {entry.value}: {error}.",
            "install what it needs (docs/recipes.md names the extras).",
        ) from error
    if not isinstance(recipe, Recipe) or recipe.name != name:
        raise _unusable(
            f"{entry.value} is no recipe of the name {name!r}.", "report this to whoever made that package."
        )
    return recipe


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
