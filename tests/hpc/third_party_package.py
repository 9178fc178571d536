"""Somebody else's package with a recipe and an engine (`third_party`), installed while a test runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["someone_elses_package", "someone_elses_site"]

_SOURCE = Path(__file__).with_name("third_party")


@pytest.fixture(scope="module")
def someone_elses_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, installed into a folder of its own."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    apart = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*pip, *apart, str(_SOURCE)], check=True, timeout=100, capture_output=True)
    return target


@pytest.fixture
def someone_elses_package(someone_elses_site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That folder, where Python finds it."""
    monkeypatch.syspath_prepend(str(someone_elses_site))
    return someone_elses_site
