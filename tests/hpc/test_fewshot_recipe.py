"""The recipe `few-shot`, beyond what holds for every recipe (tests/hpc/test_recipes.py)."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eucentric_hpc import TrainingDataError
from eucentric_hpc.recipes import BundleDraft, RecipeData, ScoringRecipe, parameters_of, recipe_named
from eucentric_models.engines import engine_named, write_model_folder
from eucentric_models.fewshot import NONE_OF_THESE, SupportSet

from .fewshot_case import few_shot_data, two_textures

HANDMADE = {"encoder": "handmade"}


def train(data: RecipeData, folder: Path, **parameters: object) -> BundleDraft:
    recipe = recipe_named("few-shot")
    with ThreadPoolExecutor(1) as executor:
        return recipe.train(
            executor, data, parameters_of(recipe, {**HANDMADE, **parameters}), folder / "work"
        )


def test_chips_become_a_model_that_maps_the_image(tmp_path: Path) -> None:
    draft = train(few_shot_data()(tmp_path), tmp_path)
    assert draft.classes == ("film", "fringes", NONE_OF_THESE)
    assert draft.metrics["support_recognised"] == 1
    assert draft.metrics["none_of_these_fraction"] <= 0.1
    description = write_model_folder(tmp_path / "model", draft, name="tried", version=1)
    model = engine_named("chips").open(tmp_path / "model", description)
    found = model.apply(two_textures(), pixel_size_m=None)
    names = np.array(found.columns(None)["class"]).reshape(4, 4)
    assert (names[:, :2] == "fringes").mean() >= 0.9
    assert (names[:, 2:] == "film").mean() >= 0.9
    assert found.drift_score is not None
    assert found.drift_score < 1


def test_the_support_set_is_kept_and_makes_the_same_model_again(tmp_path: Path) -> None:
    data = few_shot_data()(tmp_path)
    first = train(data, tmp_path / "first")
    kept = tmp_path / "first" / "work" / "support-set.json"
    again = train(RecipeData(files={"support": (kept,), "image": data.files["image"]}), tmp_path / "second")
    assert again.parameters == first.parameters
    assert again.details["support_digest"] == first.details["support_digest"]
    assert SupportSet.from_json(kept.read_bytes()).digest == first.details["support_digest"]


def test_a_chip_in_the_wrong_class_is_named_before_and_after(tmp_path: Path) -> None:
    def misplace(folder: Path) -> None:
        Image.open(folder / "film" / "3.png").save(folder / "fringes" / "stray.png")
        (folder / "film" / "3.png").unlink()

    data = few_shot_data(misplace)(tmp_path)
    recipe = recipe_named("few-shot")
    report = recipe.check(data, parameters_of(recipe, HANDMADE))
    (warning,) = report.warnings
    assert "stray.png of class 'fringes'" in warning
    assert "looks like 'film'" in warning
    assert warning in train(data, tmp_path).report


def test_an_image_is_not_needed(tmp_path: Path) -> None:
    data = few_shot_data()(tmp_path)
    draft = train(RecipeData(files={"support": data.files["support"]}), tmp_path)
    assert "none_of_these_fraction" not in draft.metrics


def test_a_support_set_is_refused_when_it_is_gone_or_of_two_sorts(tmp_path: Path) -> None:
    data = few_shot_data()(tmp_path)
    with pytest.raises(TrainingDataError, match="one file was expected"):
        train(RecipeData(files={"image": data.files["image"]}), tmp_path)
    shutil.rmtree(tmp_path / "support")
    with pytest.raises(TrainingDataError, match="not there"):
        train(data, tmp_path)
    assert not (tmp_path / "work").exists()


def test_a_model_is_judged_by_its_own_support_set_with_each_chip_left_out(tmp_path: Path) -> None:
    draft = train(few_shot_data()(tmp_path), tmp_path)
    description = write_model_folder(tmp_path / "model", draft, name="tried", version=1)
    model = engine_named("chips").open(tmp_path / "model", description)
    support = SupportSet.from_json((tmp_path / "work" / "support-set.json").read_bytes())
    kept = tmp_path / "set-holdout.json"
    data = RecipeData(files={"support": (kept,)})
    kept.write_bytes(support.to_json())
    recipe = recipe_named("few-shot")
    assert isinstance(recipe, ScoringRecipe)
    assert recipe.score(model, data) == {"agreement": 1.0, "chips": 8.0}

    # Every other chip is given the other name: each is still recognised as what it is, and so is wrong.
    film, fringes = support.classes
    chips = tuple(
        chip.model_copy(update={"label": (fringes if chip.label == film else film)}) if index % 2 else chip
        for index, chip in enumerate(support.chips)
    )
    kept.write_bytes(support.model_copy(update={"chips": chips}).to_json())
    assert recipe.score(model, data)["agreement"] == 0.5

    kept.write_text("{}")
    with pytest.raises(TrainingDataError, match="cannot be read"):
        recipe.score(model, data)
