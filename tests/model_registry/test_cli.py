"""`eucentric keys` and `eucentric models` as an operator types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eucentric_core import TrustedKeys
from eucentric_model_registry import Registry
from eucentric_model_registry._cli import keys_app, models_app

from .conftest import Publish


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "eucentric.toml"
    path.write_text(f'home = "{tmp_path / "home"}"\n')
    return path


def test_keys_are_made_once_and_shown(config: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    made = run(keys_app, ["init", "--config", str(config), "--json"])
    assert made.exit_code == 0, made.output
    facts = json.loads(made.output)
    assert Path(facts["signing_key"]).is_relative_to(tmp_path / "home")
    assert list(TrustedKeys.read(Path(facts["trusted_keys"])).keys) == facts["key_ids"]

    shown = run(keys_app, ["show", "--config", str(config)])
    assert shown.exit_code == 0
    assert facts["key_ids"][0] in shown.output
    assert "PRIVATE KEY" not in shown.output

    again = run(keys_app, ["init", "--config", str(config)])
    assert again.exit_code == 2
    assert "exists already" in again.output
    assert "next:" in again.output


def test_keys_that_were_never_made_cannot_be_shown(config: Path) -> None:
    shown = CliRunner().invoke(keys_app, ["show", "--config", str(config)])
    assert shown.exit_code == 2
    assert "eucentric keys init" in shown.output


@pytest.mark.parametrize(
    ("url", "words"),
    [("https://mlflow.example/", "names no local port"), ("http://0.0.0.0:5000", "without keys")],
)
def test_a_server_that_is_not_for_this_machine_alone_is_not_started(
    config: Path, tmp_path: Path, url: str, words: str
) -> None:
    with config.open("a") as stream:
        stream.write(f'[hub]\nmlflow_url = "{url}"\n')
    refused = CliRunner().invoke(models_app, ["server", "--config", str(config)])
    assert refused.exit_code == 2
    assert words in refused.stderr
    assert not (tmp_path / "home" / "mlflow").exists()


@pytest.mark.slow
def test_models_and_their_history_are_listed(
    registry: Registry, name: str, publish: Publish, mlflow_url: str, config: Path, tmp_path: Path
) -> None:
    registry.register(name, publish(1))
    registry.promote(name, 1, reason="first model", who="start")
    trusted = tmp_path / "trusted-keys.json"
    trusted.write_text(registry.trusted.model_dump_json())
    with config.open("a") as stream:
        stream.write(
            f'[hub]\nmlflow_url = "{mlflow_url}"\n[edge]\nmodel = "{name}"\ntrusted_keys = "{trusted}"\n'
        )
    run = CliRunner().invoke

    (listed,) = json.loads(run(models_app, ["ls", "--config", str(config), "--json"]).output)
    assert (listed["version"], listed["aliases"]) == (1, ["champion"])
    (entry,) = json.loads(run(models_app, ["history", "--config", str(config), "--json"]).output)
    assert (entry["version"], entry["who"], entry["reason"]) == (1, "start", "first model")
    assert "champion" in run(models_app, ["ls", "--config", str(config)]).output
    assert "start" in run(models_app, ["history", "--config", str(config)]).output
    assert (
        json.loads(run(models_app, ["ls", "--config", str(config), "--model", "other", "--json"]).output)
        == []
    )


def test_the_command_line_of_the_client_has_every_command_once() -> None:
    from eucentric.models._command import app

    said = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    for command in ("apply", "ls", "promote", "rollback", "resign", "import", "server"):
        assert f"│ {command} " in said
    assert "│ models " not in said
