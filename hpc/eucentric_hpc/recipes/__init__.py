"""Recipes: data in, bundle draft out. Registered by the entry point group `eucentric.recipes`.

Importing this package imports no recipe: `recipe_named` does.
"""

from __future__ import annotations

from eucentric_models.engines import BundleDraft

from ._data import RecipeData
from ._progress import RecipeProgress, TrainingNote
from ._protocol import Recipe
from ._registry import parameters_of, recipe_named, recipes
from ._report import DataReport

__all__ = [
    "BundleDraft",
    "DataReport",
    "Recipe",
    "RecipeData",
    "RecipeProgress",
    "TrainingNote",
    "parameters_of",
    "recipe_named",
    "recipes",
]
