"""`eucentric models apply`, as somebody with an image uses it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from securesystemslib.signer import CryptoSigner

from eucentric.cli import main
from eucentric_core import Lineage
from eucentric_model_registry import BundleIdentity, build_and_sign_draft, trusted_keys_of
from eucentric_models.engines import write_model_folder

from ..models.engine_cases import atoms_draft, noise

Apply = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_model_folder(folder / "model", atoms_draft(folder), name="tried", version=3)
    return folder / "model"


@pytest.fixture
def apply(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Apply:
    """Applies the model to a file; returns the exit status and what was said on both streams."""

    def command(file: Path, *more: str, name: str | None = None) -> tuple[int, str, str]:
        arguments = ["--model", name or str(model), "--input", str(file), "--output", str(tmp_path / "out")]
        status = main(["models", "apply", *arguments, *more])
        said = capsys.readouterr()
        return status, said.out, said.err

    return command


@pytest.fixture
def calibrated(tmp_path: Path) -> Path:
    """An image as ImageJ writes it, 20 pm per pixel."""
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, noise(7), imagej=True, resolution=(50.0, 50.0), metadata={"unit": "nm"})
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_table_picture_and_summary_say_the_same(apply: Apply, calibrated: Path, tmp_path: Path) -> None:
    status, said, _ = apply(calibrated, "--json")
    assert status == 0
    summary: dict[str, Any] = json.loads(said)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["scan.csv", "scan.json", "scan.png"]
    table = rows(tmp_path / "out" / "scan.csv")
    assert list(table[0]) == ["y_px", "x_px", "y_nm", "x_nm", "class", "confidence", "uncertainty"]
    assert summary["count"] == len(table) > 0
    assert sum(summary["counts"].values()) == len(table)
    assert {row["class"] for row in table} <= {"metal", "chalcogen"}
    for row in table:
        assert float(row["y_nm"]) == pytest.approx(float(row["y_px"]) * 0.02, rel=1e-5)
        assert 0 <= float(row["confidence"]) <= 1
    assert summary["pixel_size_pm"] == pytest.approx(20)
    assert summary["pixel_size_from"] == "file"
    assert (summary["model"]["name"], summary["model"]["version"]) == ("tried", 3)
    assert summary["model"]["signed"] is False
    assert summary["drift_score"] > 0
    kept = json.loads((tmp_path / "out" / "scan.json").read_text())
    assert kept == {key: value for key, value in summary.items() if key != "output"}
    with Image.open(tmp_path / "out" / "scan.png") as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        assert min(picture.size) > 500


def test_people_are_told_in_sentences(apply: Apply, calibrated: Path) -> None:
    status, said, _ = apply(calibrated)
    assert status == 0
    assert "tried v3 (folder, not signed) on scan.tif, 20 pm per pixel (file)" in said
    assert "found:" in said
    assert "drift score" in said


def test_what_somebody_says_wins_over_the_file(apply: Apply, calibrated: Path, tmp_path: Path) -> None:
    status, said, _ = apply(calibrated, "--json", "--pixel-size-pm", "40")
    assert (status, json.loads(said)["pixel_size_from"]) == (0, "given")
    row = rows(tmp_path / "out" / "scan.csv")[0]
    assert float(row["y_nm"]) == pytest.approx(float(row["y_px"]) * 0.04, rel=1e-5)


def test_without_a_pixel_size_results_are_in_pixels_if_that_is_said(apply: Apply, tmp_path: Path) -> None:
    Image.fromarray(noise(7).astype(np.uint8)).save(tmp_path / "scan.png")
    status, said, _ = apply(tmp_path / "scan.png", "--json", "--uncalibrated")
    assert status == 0
    assert json.loads(said)["pixel_size_pm"] is None
    assert "y_nm" not in rows(tmp_path / "out" / "scan.csv")[0]


def test_where_nobody_knows_the_pixel_size_that_is_said(apply: Apply, tmp_path: Path) -> None:
    Image.fromarray(noise(7).astype(np.uint8)).save(tmp_path / "scan.png")
    status, said, _ = apply(tmp_path / "scan.png", "--json")
    assert status == 0
    summary = json.loads(said)
    assert (summary["pixel_size_pm"], summary["pixel_size_from"]) == (None, None)
    assert "does not say how large its pixels are" in summary["unsure"][0]
    assert "y_nm" not in rows(tmp_path / "out" / "scan.csv")[0]


def test_the_only_images_of_an_npz_are_taken_and_of_several_one_must_be_named(
    apply: Apply, tmp_path: Path
) -> None:
    np.savez(tmp_path / "one.npz", image=noise(7), positions=np.zeros((900, 2)), sampling=np.array(0.1))
    status, said, _ = apply(tmp_path / "one.npz", "--json", "--uncalibrated")
    assert (status, json.loads(said)["images"]) == (0, 1)
    np.savez(tmp_path / "two.npz", haadf=noise(7), density=noise(8))
    status, _, error = apply(tmp_path / "two.npz", "--json", "--uncalibrated")
    assert status == 2
    assert "density, haadf" in error
    assert "--signal" in error
    status, said, _ = apply(tmp_path / "two.npz", "--json", "--uncalibrated", "--signal", "haadf")
    assert status == 0
    np.savez(tmp_path / "named.npz", image=noise(7), density=noise(8))
    assert apply(tmp_path / "named.npz", "--json", "--uncalibrated")[0] == 0


def test_a_series_is_one_table_with_a_picture_of_each_image(apply: Apply, tmp_path: Path) -> None:
    np.save(tmp_path / "series.npy", np.stack([noise(seed) for seed in (1, 2, 3)]), allow_pickle=False)
    status, said, _ = apply(tmp_path / "series.npy", "--json", "--pixel-size-pm", "20")
    assert status == 0
    summary = json.loads(said)
    table = rows(tmp_path / "out" / "series.csv")
    assert {row["image"] for row in table} == {"0", "1", "2"}
    assert (summary["images"], summary["count"]) == (3, len(table))
    assert len(summary["pictures"]) == 3
    assert all((tmp_path / "out" / name).exists() for name in summary["pictures"])


def _garbage(folder: Path) -> Path:
    (folder / "damaged.dm4").write_bytes(np.random.default_rng(1).bytes(4000))
    return folder / "damaged.dm4"


def _empty(folder: Path) -> Path:
    (folder / "empty.png").touch()
    return folder / "empty.png"


def _nan(folder: Path) -> Path:
    np.save(folder / "nan.npy", np.full((48, 40), np.nan), allow_pickle=False)
    return folder / "nan.npy"


def _objects(folder: Path) -> Path:
    np.save(folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    return folder / "objects.npy"


def _uncalibrated(folder: Path) -> Path:
    Image.fromarray(noise(7).astype(np.uint8)).save(folder / "scan.png")
    return folder / "scan.png"


def _stretched(folder: Path) -> Path:
    path = folder / "stretched.tif"
    tifffile.imwrite(path, noise(7), imagej=True, resolution=(50.0, 20.0), metadata={"unit": "nm"})
    return path


@pytest.mark.parametrize(
    ("make", "more", "words"),
    [
        (_garbage, ["--pixel-size-pm", "20"], "damaged.dm4"),
        (_empty, ["--pixel-size-pm", "20"], "empty.png"),
        (_nan, ["--pixel-size-pm", "20"], "not finite"),
        (_objects, ["--pixel-size-pm", "20"], "objects.npy"),
        (_uncalibrated, ["--pixel-size-pm", "nan"], "cannot be the size of a pixel"),
        (_uncalibrated, ["--pixel-size-pm", "2e9"], "cannot be the size of a pixel"),
        (_uncalibrated, ["--pixel-size-pm", "20", "--uncalibrated"], "Both"),
        (_stretched, [], "along y and"),
        (lambda folder: folder / "none.png", ["--pixel-size-pm", "20"], "There is no file"),
    ],
)
def test_bad_input_is_one_error_and_leaves_nothing(
    apply: Apply, tmp_path: Path, make: Callable[[Path], Path], more: list[str], words: str
) -> None:
    file = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    status, said, error = apply(file, *more, "--json")
    assert (status, said) == (2, "")
    assert words in error
    assert error.startswith("error: ")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unknown_model_is_refused_with_those_that_there_are(
    apply: Apply, calibrated: Path, tmp_path: Path
) -> None:
    status, _, error = apply(calibrated, name=str(tmp_path / "nothing"))
    assert status == 2
    assert "not a folder with a model" in error
    assert not (tmp_path / "out").exists()


class TestASignedBundle:
    @pytest.fixture
    def bundle(self, tmp_path: Path) -> Path:
        signer = CryptoSigner.generate_ed25519()
        (tmp_path / "draft").mkdir()
        identity = BundleIdentity(
            name="atoms",
            version=4,
            material="mos2",
            lineage=Lineage(datasets=("s1",), code_version="1", trigger_id="t", policy=None, run_id="r"),
        )
        build_and_sign_draft(tmp_path / "bundle", atoms_draft(tmp_path / "draft"), identity, signer)
        keys = tmp_path / "trusted.json"
        keys.write_text(trusted_keys_of(signer).model_dump_json())
        (tmp_path / "eucentric.toml").write_text(
            f'home = "{tmp_path / "home"}"\n[edge]\ntrusted_keys = "{keys}"\n'
        )
        return tmp_path / "bundle"

    def test_is_verified_and_said_to_be(self, apply: Apply, bundle: Path, calibrated: Path) -> None:
        config = str(bundle.parent / "eucentric.toml")
        status, said, error = apply(calibrated, "--json", "--config", config, name=str(bundle))
        assert status == 0, error
        facts = json.loads(said)["model"]
        assert (facts["name"], facts["version"], facts["signed"], facts["origin"]) == (
            "atoms",
            4,
            True,
            "bundle",
        )

    def test_with_a_changed_byte_is_refused(self, apply: Apply, bundle: Path, calibrated: Path) -> None:
        weights = bundle / "member-0.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
        config = str(bundle.parent / "eucentric.toml")
        status, _, error = apply(calibrated, "--config", config, name=str(bundle))
        assert status == 2
        assert "not what was signed" in error
        assert not (bundle.parent / "out").exists()
