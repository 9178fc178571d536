"""`eucentric import` as it is typed: a table, the reasons, an exit status, one JSON object."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eucentric.cli import main

from .vendor_files import axis, write_hspy

NANOMETRES = (axis("y", "nm", 0.0297), axis("x", "nm", 0.0297))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_hspy(tmp_path / "good.hspy", np.ones((20, 24), "uint16"), NANOMETRES, title="HAADF")


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return write_hspy(
        tmp_path / "bad.hspy", np.ones((20, 24), "uint16"), [axis("y", None, 1), axis("x", None, 1)]
    )


def test_one_is_imported_one_is_refused_and_said_why(
    good: Path, bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    home = ["--home", str(tmp_path / "home")]
    assert main(["import", str(good), str(bad), "--session", "s1", *home]) == 1
    shown = capsys.readouterr().out
    assert "29.7 pm" in shown
    assert "haadf" in shown
    assert "refused: bad.hspy: it does not say how large a pixel is." in shown
    assert "--pixel-size-pm" in shown
    assert "1 imported, 1 refused; session s1 is open" in shown
    assert main(["import", str(bad), str(good), "--session", "s1", "--pixel-size-pm", "30", *home]) == 0
    assert "data set imported.s1 is complete" in capsys.readouterr().out


def test_a_folder_in_json_without_touching_the_home(
    good: Path, bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    arguments = ["import", str(tmp_path), "--session", "s1", "--dry-run", "--json", "--home", str(home)]
    assert main(arguments) == 1
    report = json.loads(capsys.readouterr().out)
    assert {Path(file["file"]).name: file["verdict"] for file in report["files"]} == {
        "bad.hspy": "refused",
        "good.hspy": "importable",
    }
    assert report["dry_run"] is True
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--session", "s1"], "no file to import"),
        (["x.dm3", "--session", "../up"], "session"),
        (["x.dm3", "--session", "s1", "--pixel-size-pm", "-1"], "pixel_size_pm"),
        (["x.dm3", "--session", "s1", "--stream", "A B"], "stream"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_sentence(
    arguments: list[str], what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", *arguments, "--home", str(tmp_path / "home")]) == 2
    refused = capsys.readouterr().err
    assert what in refused
    assert "Traceback" not in refused
    assert not (tmp_path / "home").exists()
