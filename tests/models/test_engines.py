"""What holds for every engine that is installed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eucentric_models import ModelsError
from eucentric_models.engines import (
    EngineError,
    EngineModel,
    ModelDescription,
    engine_named,
    engines,
    read_description,
    read_plain_array,
    require_golden_answers,
    shipped_folder,
    shipped_models,
    write_model_folder,
)

from .engine_cases import CASES

UNFIT = [(name, what) for name, case in CASES.items() for what in case.unfit]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for name, case in CASES.items():
        folder = tmp_path_factory.mktemp(name)
        write_model_folder(folder / "model", case.draft(folder), name="tried", version=3)
        made[name] = folder / "model"
    return made


@pytest.fixture
def model(name: str, folders: dict[str, Path]) -> EngineModel:
    return engine_named(name).open(folders[name], read_description(folders[name]))


def test_every_engine_has_a_case() -> None:
    assert set(engines()) == set(CASES)


def test_an_engine_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(EngineError, match=r"no engine 'alchemy'.*atoms"):
        engine_named("alchemy")


@pytest.mark.parametrize("name", CASES)
class TestEveryEngine:
    def test_answers_with_a_table_of_one_length_and_units_in_its_names(
        self, name: str, model: EngineModel
    ) -> None:
        result = model.apply(CASES[name].image(), pixel_size_m=20e-12)
        columns = result.columns(20e-12)
        assert len({len(values) for values in columns.values()}) == 1
        assert len(next(iter(columns.values()))) > 0
        json.dumps(result.summary(), allow_nan=False)
        assert all(sentence.endswith(".") for sentence in result.unsure)
        if "y_nm" in columns:
            np.testing.assert_allclose(
                np.asarray(columns["y_nm"], float), np.asarray(columns["y_px"], float) * 0.02
            )
            assert "y_nm" not in result.columns(None)

    def test_gives_the_same_answer_again_and_leaves_the_input_alone(
        self, name: str, model: EngineModel
    ) -> None:
        image = CASES[name].image()
        image.flags.writeable = False
        first, second = (model.apply(image, pixel_size_m=20e-12).columns(20e-12) for _ in range(2))
        assert {key: list(values) for key, values in first.items()} == {
            key: list(values) for key, values in second.items()
        }

    def test_repeats_its_golden_answers_and_refuses_weights_that_do_not(
        self, name: str, model: EngineModel, folders: dict[str, Path], tmp_path: Path
    ) -> None:
        require_golden_answers(folders[name], model)
        golden = model.description.golden[0]
        expected = read_plain_array(folders[name] / golden.expected)
        for path in folders[name].iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        np.save(tmp_path / golden.expected, expected + 3 * golden.max_abs_error, allow_pickle=False)
        with pytest.raises(EngineError, match="away from what it was made with"):
            require_golden_answers(tmp_path, model)

    def test_refuses_files_that_are_not_its_own(
        self, name: str, folders: dict[str, Path], tmp_path: Path
    ) -> None:
        description = read_description(folders[name])
        for path in folders[name].iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / description.members[0]).write_bytes(b"no weights")
        with pytest.raises(ModelsError):
            engine_named(name).open(tmp_path, description)


@pytest.mark.parametrize(("name", "what"), UNFIT)
def test_an_input_that_does_not_fit_is_refused(name: str, what: str, folders: dict[str, Path]) -> None:
    model = engine_named(name).open(folders[name], read_description(folders[name]))
    with pytest.raises(ModelsError):
        model.apply(CASES[name].unfit[what], pixel_size_m=20e-12)


class TestAFolder:
    def test_without_a_model_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(EngineError, match="holds no model"):
            read_description(tmp_path)
        (tmp_path / "model.json").write_text('{"name": "x"}')
        with pytest.raises(EngineError, match="holds no model"):
            read_description(tmp_path)

    def test_is_never_written_over_and_does_not_appear_half(self, tmp_path: Path) -> None:
        draft = CASES["atoms"].draft(tmp_path)
        write_model_folder(tmp_path / "model", draft, name="tried", version=1)
        with pytest.raises(EngineError, match="exists already"):
            write_model_folder(tmp_path / "model", draft, name="tried", version=1)
        wrong = draft.model_copy(update={"classes": ("one",)})
        with pytest.raises(EngineError, match="1 classes"):
            write_model_folder(tmp_path / "wrong", wrong, name="tried", version=1)
        assert not (tmp_path / "wrong").exists()
        assert not list(tmp_path.glob(".wrong*"))

    def test_of_an_object_array_is_refused(self, tmp_path: Path) -> None:
        np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
        with pytest.raises(EngineError, match="not a plain array"):
            read_plain_array(tmp_path / "objects.npy")


@pytest.mark.parametrize("name", shipped_models())
def test_a_shipped_model_works_here(name: str) -> None:
    folder = shipped_folder(name)
    description: ModelDescription = read_description(folder)
    assert description.name == name
    assert description.report
    require_golden_answers(folder, engine_named(description.engine).open(folder, description))


def test_a_model_that_is_not_shipped_is_refused() -> None:
    with pytest.raises(EngineError, match="No model 'alchemy' is shipped"):
        shipped_folder("alchemy")
