"""A hub on its first day says what to do next in place of an empty table."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from eucentric_flows._cli import policy_app, run_app


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "hub.toml"
    path.write_text(f'home = "{tmp_path / "home"}"\n')
    return str(path)


def test_there_are_no_policies_yet(config: str) -> None:
    told = CliRunner().invoke(policy_app, ["ls", "--config", config])
    assert told.exit_code == 0
    assert "No policies in" in told.stdout
    assert "policy enable FILE" in told.stdout


def test_there_are_no_runs_yet(config: str) -> None:
    told = CliRunner().invoke(run_app, ["ls", "--config", config])
    assert told.exit_code == 0
    assert "No runs yet" in told.stdout
