"""What the house says about itself, read once from `pyproject.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def pyproject(repository: Path) -> dict[str, Any]:
    """The parsed `pyproject.toml`."""
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def package_folders(repository: Path, pyproject: dict[str, Any]) -> list[Path]:
    """Each import package's folder, as the wheel is told to take it."""
    folders = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return [repository / folder for folder in folders]
