"""A room imports only rooms below it, and what watches over this does notice a breach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

BREACHES = {
    "the ground floor reaches up": ("eucentric_core", "import eucentric_transfer", "floors"),
    "the agent starts a flow itself": ("eucentric_agents", "import eucentric_flows", "floors"),
    "two rooms of one floor meet": ("eucentric_edge", "import eucentric_hpc", "floors"),
    "the agent grows a network": ("eucentric_agents", "import torch", "light-control-pc"),
    "the client grows a server": ("eucentric", "import prefect", "light-client"),
    "the edge asks the registry": ("eucentric_edge", "import mlflow", "lean-edge"),
    "the ground floor reads a vendor's file": ("eucentric_core", "import rsciio", "gpl-apart"),
}


def lint(root: Path, search_path: list[Path], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter in `root`, looking for the packages in `search_path` first."""
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache", *arguments],
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, search_path)), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_the_house_keeps_its_contract(repository: Path) -> None:
    outcome = lint(repository, [])
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.fixture
def copied_house(repository: Path, package_folders: list[Path], tmp_path: Path) -> Path:
    """All packages in one folder, to be spoiled."""
    for folder in package_folders:
        shutil.copytree(folder, tmp_path / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repository / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_noticed(breach: str, copied_house: Path) -> None:
    package, offence, contract = BREACHES[breach]
    (copied_house / package / "_breach.py").write_text(offence + "\n", encoding="utf-8")

    outcome = lint(copied_house, [copied_house], "--contract", contract)

    assert outcome.returncode == 1, outcome.stdout + outcome.stderr
    assert f"{package}._breach" in outcome.stdout


def test_a_circle_is_noticed(copied_house: Path) -> None:
    room = copied_house / "eucentric_transfer"
    (room / "_hen.py").write_text("from . import _egg\n", encoding="utf-8")
    (room / "_egg.py").write_text("from . import _hen\n", encoding="utf-8")

    outcome = lint(copied_house, [copied_house], "--contract", "no-circles")

    assert outcome.returncode == 1, outcome.stdout + outcome.stderr
    assert "No cycles are allowed in eucentric_transfer" in outcome.stdout
