"""What holds for every recipe that is installed; and that somebody else's package can bring one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.numpy import load_file

from eucentric_core import sha256_file
from eucentric_hpc import TrainingConfigError, TrainingDataError
from eucentric_hpc.recipes import (
    BundleDraft,
    RecipeData,
    TrainingNote,
    parameters_of,
    recipe_named,
    recipes,
)
from eucentric_models.engines import engines, write_model_folder

from .recipe_cases import CASES

POISONS = [(name, poison) for name, case in CASES.items() for poison in case.poisons]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[BundleDraft, list[TrainingNote]]]:
    """A draft of every recipe, with what was said on the way; each recipe is trained when it is asked for."""
    return {}


@pytest.fixture
def draft(
    name: str,
    trained: dict[str, tuple[BundleDraft, list[TrainingNote]]],
    threads: ThreadPoolExecutor,
    tmp_path_factory: pytest.TempPathFactory,
) -> BundleDraft:
    if name not in trained:
        notes: list[TrainingNote] = []
        made = train(name, threads, tmp_path_factory.mktemp(name), notes)
        trained[name] = (made, notes)
    return trained[name][0]


def train(
    name: str, executor: ThreadPoolExecutor, folder: Path, notes: list[TrainingNote] | None = None
) -> BundleDraft:
    recipe, case = recipe_named(name), CASES[name]
    return recipe.train(
        executor,
        case.data(folder),
        parameters_of(recipe, case.parameters),
        folder / "work",
        progress=None if notes is None else notes.append,
    )


def hashes(draft: BundleDraft) -> dict[str, str]:
    return {name: sha256_file(path) for name, path in draft.files.items()}


def test_every_recipe_has_a_case() -> None:
    assert set(recipes()) == set(CASES)


@pytest.mark.parametrize("name", CASES)
class TestEveryRecipe:
    def test_says_what_it_would_do_and_does_nothing(self, name: str, tmp_path: Path) -> None:
        recipe, case = recipe_named(name), CASES[name]
        data = case.data(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        report = recipe.check(data, parameters_of(recipe, case.parameters))
        assert report.plan
        assert sorted(tmp_path.rglob("*")) == before

    def test_its_draft_opens_with_its_engine_and_repeats_its_golden_answers(
        self, name: str, draft: BundleDraft, tmp_path: Path
    ) -> None:
        assert draft.engine == recipe_named(name).engine
        assert draft.engine in engines()
        description = write_model_folder(tmp_path / "model", draft, name="tried", version=1)
        assert description.engine == draft.engine

    def test_its_weights_and_figures_are_finite(self, name: str, draft: BundleDraft) -> None:
        assert draft.report
        assert all(np.isfinite(value) for value in draft.metrics.values())
        for path in draft.weights:
            assert all(np.isfinite(array).all() for array in load_file(path).values())

    def test_its_draft_survives_as_json(self, name: str, draft: BundleDraft) -> None:
        assert BundleDraft.model_validate_json(draft.model_dump_json()) == draft

    def test_tells_how_far_it_is(
        self, name: str, draft: BundleDraft, trained: dict[str, tuple[BundleDraft, list[TrainingNote]]]
    ) -> None:
        notes = trained[name][1]
        assert notes
        assert notes[-1].done == notes[-1].of
        assert all(note.sentence for note in notes)

    def test_the_same_seed_gives_the_same_files_and_no_global_state_changes(
        self, name: str, draft: BundleDraft, threads: ThreadPoolExecutor, tmp_path: Path
    ) -> None:
        torch.manual_seed(7)
        state = torch.get_rng_state()
        before = (torch.get_default_dtype(), torch.get_num_threads(), repr(np.random.get_state()))
        again = train(name, threads, tmp_path)
        assert hashes(again) == hashes(draft)
        assert again.metrics == draft.metrics
        after = (torch.get_default_dtype(), torch.get_num_threads(), repr(np.random.get_state()))
        assert after == before
        assert torch.equal(torch.get_rng_state(), state)

    def test_unknown_or_unbounded_parameters_are_refused(self, name: str) -> None:
        recipe = recipe_named(name)
        with pytest.raises(TrainingConfigError, match="parameters of recipe"):
            parameters_of(recipe, {**CASES[name].parameters, "no_such_parameter": 1})
        parameters = parameters_of(recipe, CASES[name].parameters)
        field = next(iter(type(parameters).model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(parameters, field, getattr(parameters, field))

    def test_an_unknown_input_or_a_missing_file_is_refused(self, name: str, tmp_path: Path) -> None:
        recipe, case = recipe_named(name), CASES[name]
        parameters = parameters_of(recipe, case.parameters)
        data = case.data(tmp_path)
        with pytest.raises(TrainingDataError, match="no input 'bogus'"):
            recipe.check(RecipeData(files={**data.files, "bogus": (tmp_path,)}), parameters)
        first = next(iter(data.files))
        missing = {**data.files, first: (tmp_path / "not-there",)}
        with pytest.raises(TrainingDataError, match="not there"):
            recipe.check(RecipeData(files=missing), parameters)


@pytest.mark.parametrize(("name", "poison"), POISONS)
def test_poison_is_refused_before_anything_is_trained(
    name: str, poison: str, threads: ThreadPoolExecutor, tmp_path: Path
) -> None:
    recipe, case = recipe_named(name), CASES[name]
    data = case.poisons[poison](tmp_path)
    with pytest.raises(TrainingDataError) as caught:
        recipe.train(threads, data, parameters_of(recipe, case.parameters), tmp_path / "work")
    assert "nothing was trained" in caught.value.safe
    assert not (tmp_path / "work").exists()


def test_a_recipe_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(TrainingConfigError, match=r"no recipe 'alchemy'.*elit"):
        recipe_named("alchemy")


def test_somebody_elses_package_brings_a_recipe_and_an_engine(
    someone_elses_package: Path, threads: ThreadPoolExecutor, tmp_path: Path
) -> None:
    assert "template" in recipes()
    assert "template" in engines()
    for index in range(3):
        np.save(tmp_path / f"{index}.npy", np.full((4, 5), float(index)), allow_pickle=False)
    recipe = recipe_named("template")
    data = RecipeData(files={"images": tuple(tmp_path / f"{index}.npy" for index in range(3))})
    draft = recipe.train(threads, data, parameters_of(recipe, {"weight": 2.0}), tmp_path / "work")
    write_model_folder(tmp_path / "model", draft, name="mean", version=1)
    facts = json.loads((tmp_path / "model" / "model.json").read_text())
    assert (facts["engine"], facts["parameters"]) == ("template", {"weight": 2.0})


def test_what_is_no_recipe_or_lacks_a_package_is_refused_by_name(someone_elses_package: Path) -> None:
    with pytest.raises(TrainingConfigError, match="someone_elses_recipe:NAME is no recipe"):
        recipe_named("not-a-recipe")
    with pytest.raises(TrainingConfigError, match=r"cannot be imported from someone_elses_recipe\.missing"):
        recipe_named("not-installable")
