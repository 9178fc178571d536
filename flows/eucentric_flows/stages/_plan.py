"""What is trained on what: a recipe, its data and its parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eucentric_core import ConfigurationError

from .._errors import HeldError
from ..policy import RetrainAction
from ._blueprint import Blueprint, Champion
from ._gather import Gathered
from ._workspace import StartData

if TYPE_CHECKING:
    from pydantic import BaseModel

    from eucentric_hpc import MemberConfig
    from eucentric_hpc.recipes import RecipeData

__all__ = ["TrainingPlan", "require_retrainable", "retraining_plan", "seed_of", "start_plan"]

_ELIT = "elit"


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What is trained on what: a recipe by name, its data and its parameters."""

    recipe: str
    data: RecipeData
    parameters: BaseModel
    timeout_s: float


def seed_of(trigger_id: str) -> int:
    """The seed of a run: another for every trigger, the same whenever it is resumed."""
    return int.from_bytes(hashlib.sha256(trigger_id.encode()).digest()[:7], "big")


def start_plan(
    blueprint: Blueprint, data: StartData, *, members: int, member: MemberConfig, seed: int
) -> TrainingPlan:
    """The first training of a model that finds atoms, on its start data alone."""
    from eucentric_hpc.recipes import RecipeData

    parameters = {**_of_blueprint(blueprint), "members": members, "member": member, "seed": seed}
    return _plan(_ELIT, RecipeData(files={"start": (data.training,)}), parameters, RetrainAction())


def require_retrainable(model: str, champion: Champion | None, action: RetrainAction) -> None:
    """Refuse, before anything is waited for, what could only fail later.

    Raises:
        HeldError: the recipe makes models for another engine than the one in service has.
        ConfigurationError: the policy names inputs that the recipe does not take, or none although it must,
            or there is no first model to go on from.
        TrainingConfigError: the recipe is not installed.
    """
    from eucentric_hpc.recipes import recipe_named

    recipe = recipe_named(action.recipe)
    if champion is None and recipe.name == _ELIT:
        raise ConfigurationError(
            f"Model {model!r} has no champion to retrain.",
            safe="nothing was trained.",
            next_step="train a first one with `eucentric flows bootstrap`.",
        )
    if champion is not None and champion.manifest.engine != recipe.engine:
        raise HeldError(
            f"model {model} is for the engine {champion.manifest.engine!r}, "
            f"and the recipe {recipe.name!r} makes models for {recipe.engine!r}",
            safe="nothing was trained; the model in service keeps serving.",
            next_step="give the new kind of model another name, or correct the recipe in the policy.",
        )
    unknown = sorted(set(action.sources) - set(recipe.inputs))
    if unknown or not action.sources:
        takes = "; ".join(f"{name}: {what}" for name, what in sorted(recipe.inputs.items()))
        problem = f"has no input {unknown[0]!r}" if unknown else "is given no inputs"
        raise ConfigurationError(
            f"The recipe {recipe.name!r} {problem}. It takes {takes}.",
            safe="nothing was trained.",
            next_step="declare where they come from under [action.inputs] of the policy (docs/recipes.md).",
        )


def retraining_plan(
    champion: Champion | None, gathered: Gathered, action: RetrainAction, *, seed: int
) -> TrainingPlan:
    """A retraining on what was gathered; what the policy says of the parameters comes last and wins.

    Raises:
        TrainingConfigError: a parameter is unknown or out of bounds.
    """
    given: dict[str, Any] = {"seed": seed}
    if action.recipe == _ELIT and champion is not None:
        given |= _of_elit(champion.blueprint, action)
    return _plan(action.recipe, gathered.training, {**given, **action.parameters}, action)


def _of_elit(blueprint: Blueprint, action: RetrainAction) -> dict[str, Any]:
    """Warm-started from the champion, with replayed start data."""
    from eucentric_hpc import DEMO_RETRAINING

    recipe = DEMO_RETRAINING.fitted_to(blueprint.network, blueprint.decoding)
    budget = {"steps": action.steps, "learning_rate": action.learning_rate}
    return {
        **_of_blueprint(blueprint),
        "members": action.members,
        "member": recipe.model_validate({**recipe.model_dump(), **budget}),
        "replay_frames": action.replay_frames,
        "timeout_s": action.train_timeout_s,
    }


def _of_blueprint(blueprint: Blueprint) -> dict[str, Any]:
    return {
        "network": blueprint.network,
        "classes": blueprint.classes,
        "preprocessing": blueprint.preprocessing,
        "decoding": blueprint.decoding,
    }


def _plan(name: str, data: RecipeData, given: Mapping[str, Any], action: RetrainAction) -> TrainingPlan:
    from eucentric_hpc.recipes import parameters_of, recipe_named

    recipe = recipe_named(name)
    # Not every recipe draws anything at random.
    seedless = "seed" not in recipe.Parameters.model_fields and "seed" not in action.parameters
    values = {key: value for key, value in given.items() if not (key == "seed" and seedless)}
    return TrainingPlan(name, data, parameters_of(recipe, values), action.train_timeout_s)
