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
from ._scoring import Merit, ScoringRecipe, merits_of, score_model

__all__ = [
    "BundleDraft",
    "DataReport",
    "Merit",
    "Recipe",
    "RecipeData",
    "RecipeProgress",
    "ScoringRecipe",
    "TrainingNote",
    "merits_of",
    "parameters_of",
    "recipe_named",
    "recipes",
    "score_model",
]
