"""The code that made a model can be told: by its revision, or by the files of a wheel."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from eucentric_core import code_version, run_environment


@pytest.fixture(autouse=True)
def _asked_afresh() -> None:
    code_version.cache_clear()


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> None:
    """An installation of version 9.9 with these files of metadata."""
    info = folder / "eucentric-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: eucentric\nVersion: 9.9\n")
    for name, content in files.items():
        (info / {"origin": "direct_url.json", "record": "RECORD"}[name]).write_text(content)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Distribution.at(info))


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    said = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True
    )
    return said.stdout.strip()


def editable(folder: Path) -> str:
    return json.dumps({"url": folder.as_uri(), "dir_info": {"editable": True}})


def test_a_checkout_is_named_by_its_revision_and_says_when_it_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "a checkout"
    checkout.mkdir()
    (checkout / "code.py").write_text("one")
    git(checkout, "init", "-q")
    git(checkout, "add", "code.py")
    git(checkout, "commit", "-q", "-m", "one")
    revision = git(checkout, "rev-parse", "HEAD")
    installed(tmp_path, monkeypatch, origin=editable(checkout))
    assert code_version() == f"eucentric 9.9 (git {revision[:12]})"
    (checkout / "code.py").write_text("two")
    code_version.cache_clear()
    assert code_version() == f"eucentric 9.9 (git {revision[:12]}, changed)"


def test_an_installation_from_a_repository_is_named_by_what_pip_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef" * 2 + "01234567"
    origin = {"url": "https://example.org/eucentric", "vcs_info": {"vcs": "git", "commit_id": commit}}
    installed(tmp_path, monkeypatch, origin=json.dumps(origin))
    assert code_version() == "eucentric 9.9 (git 0123456789ab)"


def test_a_wheel_is_named_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = set()
    for name, record in (("a", "code.py,sha256=1,1\n"), ("b", "code.py,sha256=2,1\n")):
        (tmp_path / name).mkdir()
        installed(tmp_path / name, monkeypatch, record=record)
        code_version.cache_clear()
        said.add(code_version())
    assert len(said) == 2
    assert all(each.startswith("eucentric 9.9 (files ") for each in said)


def test_a_folder_that_is_no_checkout_has_no_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    installed(tmp_path, monkeypatch, origin=editable(bare))
    assert code_version() == "eucentric 9.9 (no revision)"


def test_metadata_that_are_damaged_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, origin="{")
    assert code_version() == "eucentric 9.9"


def test_the_environment_names_python_system_and_packages() -> None:
    found = run_environment()
    assert {"python", "system", "eucentric", "numpy"} <= found.keys()
    assert found["numpy"] == importlib.metadata.version("numpy")
