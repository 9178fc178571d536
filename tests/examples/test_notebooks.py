"""Every notebook of examples/ runs to its last cell, shows pictures, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .notebooks import Executed, execute, with_parameters

EXAMPLES = Path(__file__).parents[2] / "examples"

ELSEWHERE = {"steer"}
"""Run by a new user's clean installation in tests/house/test_wheel.py."""


@dataclass(frozen=True)
class Case:
    """What a notebook must show.

    Attributes:
        shows: text that a reader sees.
        pictures: how many pictures at least.
        parameters: smaller numbers for the test; by `--nightly` it runs as it stands.
        at_length: text that a reader sees, too, where it runs as it stands.
        needs: packages of optional extras.
        programs: of the operating system.
    """

    shows: tuple[str, ...]
    pictures: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    at_length: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()


CASES = {
    "dkl_spectroscopy": Case(
        shows=("SIMULATED", "beam blanked: True", "by chance", "chosen by"),
        pictures=2,
        parameters={"spectra": 12, "survey_px": 48},
        needs=("gpytorch",),
    ),
    "few_shot_promote": Case(
        shows=(
            "SIMULATED",
            "of the area",
            "particles version 1",
            "looks right on the first image",
            "serving",
            "class_map",
            "before: version 1",
            "promoted, version 2",
            "after: version 2",
            "rolled_back: version 1 by ada",
        ),
        pictures=2,
        parameters={"frame_px": 128, "chip_px": 16},
    ),
    "read_back": Case(
        shows=("SIMULATED", "practice.series", "complete", "4 of 4 frames", "nanometer", "identical"),
        pictures=1,
        parameters={"frames": 4, "frame_px": 64},
        needs=("hyperspy", "zarr"),
    ),
    "remote": Case(
        shows=(
            "SIMULATED",
            "ProxyJump login",
            "answers of the edge",
            "frames when last counted",
            "beam blanked: True",
        ),
        pictures=1,
        parameters={"frames": 3, "frame_px": 96},
        programs=("sshd", "ssh"),
    ),
    "write_a_driver": Case(
        shows=("waves", "wavelenght_m", "SIMULATED", "has no stage.move"),
        pictures=1,
        parameters={"contract_suite": False},
        at_length=(" passed",),
    ),
    "write_a_recipe": Case(
        shows=("mean-image", "Average 12 images", "hold values that are no numbers"), pictures=1
    ),
}


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A kernel that is this interpreter, whatever the user has, and a folder for temporary files."""
    kernels = tmp_path / "jupyter" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernels / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "Python 3"}))
    scratch = Path(tempfile.mkdtemp(prefix="eu-nb-"))
    for name, value in {
        "JUPYTER_PATH": tmp_path / "jupyter",
        "JUPYTER_RUNTIME_DIR": tmp_path / "runtime",
        "IPYTHONDIR": tmp_path / "ipython",
        "MPLCONFIGDIR": tmp_path / "matplotlib",
        "TMPDIR": scratch,
    }.items():
        monkeypatch.setenv(name, str(value))
    # The kernel draws into the notebook by itself.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    return scratch


def names() -> list[str]:
    return sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))


def test_every_notebook_is_run_by_a_test() -> None:
    assert set(names()) == set(CASES) | ELSEWHERE


@pytest.mark.parametrize("name", names())
def test_a_notebook_is_kept_without_its_outputs(name: str) -> None:
    notebook = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []
    assert notebook["cells"][0]["cell_type"] == "markdown"
    assert "SIMULATED" in json.dumps(notebook)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("name", CASES)
def test_a_notebook_runs(name: str, kernel: Path, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    case, whole = CASES[name], pytestconfig.getoption("--nightly")
    for package in case.needs:
        pytest.importorskip(package)
    for program in case.programs:
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin") is None:
            pytest.skip(f"{program} is not installed")
    executed: Executed = execute(EXAMPLES / f"{name}.ipynb", tmp_path, {} if whole else case.parameters)
    shows = (*case.shows, *case.at_length) if whole else case.shows
    missing = [words for words in shows if words not in executed.text]
    assert missing == [], executed.text[-3000:]
    assert executed.pictures >= case.pictures
    left = [path.name for path in kernel.iterdir() if path.name.startswith("eu-")]
    assert left == []


def test_a_parameter_that_is_not_there_is_noticed() -> None:
    assert with_parameters("frames = 6  # many\nother = 1", {"frames": 2}) == "frames = 2\nother = 1"
    with pytest.raises(KeyError, match="spectra"):
        with_parameters("frames = 6", {"spectra": 2})
