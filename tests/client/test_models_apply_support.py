"""`eucentric models apply --support`: a class map without a registry, from chips somebody pointed at."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eucentric.cli import main
from eucentric_models.engines import write_model_folder
from eucentric_models.fewshot import NONE_OF_THESE, open_encoder

from ..models.engine_cases import atoms_draft
from ..models.fewshot.scenes import CHIP_PX, FILM, LATTICE, scene, support_of

Apply = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An 8 bit image, chips of it in folders of classes, and a support set."""
    folder = tmp_path_factory.mktemp("few-shot")
    one = scene((LATTICE, FILM), rows=4, columns=2)
    low, high = one.chips.grey_scale.low, one.chips.grey_scale.high
    grey = np.clip((one.image - low) / (high - low) * 200 + 25, 0, 255).astype(np.uint8)
    Image.fromarray(grey).save(folder / "scan.png")
    for name, texture in (("crystal", 0), ("film", 1)):
        (folder / "support" / name).mkdir(parents=True)
        for row, column in one.places(texture, 3):
            top, left = row * CHIP_PX, column * CHIP_PX
            chip = Image.fromarray(grey[top : top + CHIP_PX, left : left + CHIP_PX])
            chip.save(folder / "support" / name / f"{row}-{column}.png")
    support = support_of(one, open_encoder("handmade"), names="ab")
    (folder / "support.json").write_bytes(support.to_json())
    return folder


@pytest.fixture
def apply(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Apply:
    def command(*more: str, model: str = "textures") -> tuple[int, str, str]:
        where = ["--input", str(files / "scan.png"), "--output", str(tmp_path / "out"), "--uncalibrated"]
        status = main(["models", "apply", "--model", model, *where, *more])
        said = capsys.readouterr()
        return status, said.out, said.err

    return command


def test_a_folder_of_folders_of_chips_becomes_a_map_a_table_and_a_summary(
    apply: Apply, files: Path, tmp_path: Path
) -> None:
    status, said, _ = apply("--support", str(files / "support"), "--json")
    assert status == 0
    summary = json.loads(said)
    assert summary["model"]["classes"] == ["crystal", "film", NONE_OF_THESE]
    assert summary["area_fractions"]["film"]["fraction"] == pytest.approx(0.5, abs=0.1)
    with (tmp_path / "out" / "scan.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 4 * 4
    expected = ["crystal" if int(row["column"]) < 2 else "film" for row in rows]
    assert np.mean([row["class"] == name for row, name in zip(rows, expected, strict=True)]) >= 0.9
    assert {"distance crystal", "distance film", "confidence", "typicality"} <= set(rows[0])
    with Image.open(tmp_path / "out" / "scan.png") as picture:
        colours = np.asarray(picture.convert("RGB"), int)
    left, right = colours[60:700, 20:300], colours[60:700, 460:740]
    # Blue tint for the first class, orange for the second.
    assert (left[..., 2] - left[..., 0]).mean() > 10
    assert (right[..., 0] - right[..., 2]).mean() > 10


def test_a_support_set_does_as_well_and_people_are_told_in_words(apply: Apply, files: Path) -> None:
    status, said, _ = apply("--support", str(files / "support.json"))
    assert status == 0
    assert "found:" in said
    assert NONE_OF_THESE in said


def test_without_classes_it_says_how_to_give_them(apply: Apply, tmp_path: Path) -> None:
    status, _, said = apply()
    assert status != 0
    assert "knows no classes yet" in said
    assert "--support" in said
    assert not (tmp_path / "out").exists()


def test_a_support_set_that_cannot_be_read_leaves_nothing_behind(
    apply: Apply, files: Path, tmp_path: Path
) -> None:
    status, _, said = apply("--support", str(files / "scan.png"))
    assert status != 0
    assert "cannot be read" in said
    assert not (tmp_path / "out").exists()


def test_a_model_of_another_kind_takes_no_support_set(apply: Apply, files: Path, tmp_path: Path) -> None:
    write_model_folder(tmp_path / "model", atoms_draft(tmp_path), name="tried", version=1)
    status, _, said = apply("--support", str(files / "support"), model=str(tmp_path / "model"))
    assert status != 0
    assert "takes no support set" in said
