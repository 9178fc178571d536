"""A practice site refuses what would go wrong later, and leaves nothing behind. Notebooks use it whole."""

from __future__ import annotations

import tempfile
import tomllib
from pathlib import Path
from typing import Any, cast

import pytest

from eucentric.practice import PracticeSite
from eucentric.practice._practice_settings import practice_settings, toml_lines
from eucentric_core import ConfigurationError, EucentricError, load_settings


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_an_unknown_service_is_refused_with_the_names_of_those_there_are(scratch: Path) -> None:
    with pytest.raises(ConfigurationError, match="telescope") as refused:
        PracticeSite(cast(Any, "telescope"))
    assert "agent" in refused.value.next_step
    assert list(scratch.iterdir()) == []


def test_settings_in_the_environment_are_refused(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EUCENTRIC__HOME", str(scratch / "real"))
    with pytest.raises(ConfigurationError, match="EUCENTRIC__HOME"):
        PracticeSite("agent")
    assert list(scratch.iterdir()) == []


def test_a_start_that_fails_stops_everything_and_keeps_the_logs(scratch: Path) -> None:
    with pytest.raises(EucentricError) as failed:
        PracticeSite("agent", settings={"agent": {"driver": {"sead": 1}}})
    assert "sead" in failed.value.what
    (home,) = scratch.iterdir()
    assert [path.name for path in home.iterdir()] == ["logs"]


def test_the_settings_it_writes_are_read_as_they_were_meant(tmp_path: Path) -> None:
    given = {"agent": {"driver": {"seed": 7, "specimen": {"extent_m": 2e-8}}}, "edge": {"model": "particles"}}
    chosen = practice_settings(tmp_path / 'a "quoted" home', ships=True, given=given)
    text = "\n".join(toml_lines(chosen))
    assert tomllib.loads(text) == chosen
    path = tmp_path / "eucentric.toml"
    path.write_text(text, encoding="utf-8")
    settings = load_settings(path, environment={})
    assert settings.agent.driver == {"seed": 7, "specimen": {"extent_m": 2e-8}}
    assert settings.edge.model == "particles"
    assert settings.agent.ship_to_folder == settings.repository.root
