"""File < environment < flags, and a typing mistake anywhere is an error that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eucentric_core import ConfigurationError, Settings, load_settings, settings_origins

WriteFile = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """Writes a settings file."""

    def write(text: str) -> Path:
        path = tmp_path / "machine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_without_a_source_the_defaults_hold() -> None:
    assert load_settings(environment={}) == Settings()
    assert Settings().home == Path.home() / ".eucentric"


def test_each_source_wins_over_the_one_below(write: WriteFile) -> None:
    path = write("[agent]\nname = 'file'\ncontrol_port = 5001\ndata_port = 5002\nframes_per_shard = 3\n")
    environment = {"EUCENTRIC__AGENT__NAME": "variable", "EUCENTRIC__AGENT__CONTROL_PORT": "6001"}
    settings = load_settings(path, environment=environment, flags={"agent": {"name": "flag"}})
    assert settings.agent.name == "flag"
    assert settings.agent.control_port == 6001
    assert settings.agent.data_port == 5002
    assert settings.agent.instrument == "twin"
    origins = settings_origins(path, environment=environment, flags={"agent": {"name": "flag"}})
    assert {key: origins[key] for key in ("agent.name", "agent.control_port", "agent.data_port", "home")} == {
        "agent.name": "flag",
        "agent.control_port": "environment",
        "agent.data_port": "file",
        "home": "default",
    }


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EUCENTRIC__EDGE__THREADS", "3")
    monkeypatch.setenv("EUCENTRIC_TEST_RUN_OF_SOMETHING_ELSE", "x")
    assert load_settings().edge.threads == 3


def test_a_table_comes_from_the_environment_as_json_and_is_merged(write: WriteFile) -> None:
    path = write("[agent.driver]\nseed = 1\nmaterial = 'mos2'\n")
    settings = load_settings(path, environment={"EUCENTRIC__AGENT__DRIVER": '{"seed": 2, "dose": 1e3}'})
    assert settings.agent.driver == {"seed": 2, "material": "mos2", "dose": 1000.0}


def test_paths_become_absolute(write: WriteFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(write("home = '~/scope'\n[agent]\nship_to = 'nas'\n"), environment={})
    assert settings.home == Path.home() / "scope"
    assert settings.agent.ship_to == str(tmp_path / "nas")
    assert settings.agent.ship_to_folder == tmp_path / "nas"
    assert settings.logs == settings.home / "logs"


@pytest.mark.parametrize(
    ("address", "folder"),
    [
        ("s3://bucket/prefix", None),
        ("globus://collection/base/path", None),
        ("posix:///data/my%20repository", "/data/my repository"),
        ("/data/repository", "/data/repository"),
    ],
)
def test_shards_go_to_a_folder_or_to_an_address(write: WriteFile, address: str, folder: str | None) -> None:
    agent = load_settings(write(f"[agent]\nship_to = '{address}'\n"), environment={}).agent
    assert agent.ship_to == address
    assert agent.ship_to_folder == (Path(folder) if folder else None)


def test_a_path_may_be_text_and_patterns_keep_their_case(tmp_path: Path, write: WriteFile) -> None:
    path = write("[agent]\nname = 'bad name'\n")
    with pytest.raises(ConfigurationError, match=r"should match pattern .*A-Z") as caught:
        load_settings(str(path), environment={})
    assert ": string should" in caught.value.what


def test_an_address_that_carries_a_password_is_refused_and_not_repeated(write: WriteFile) -> None:
    with pytest.raises(ConfigurationError, match=r"agent\.ship_to.*password") as caught:
        load_settings(write("[agent]\nship_to = 's3://KEY:canary-secret@bucket'\n"), environment={})
    assert "canary-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[agnet]\nname = 'x'\n", "'agnet'"),
        ("[agent]\nport = 1\n", "'agent.port'"),
        ("[agent]\ncontrol_port = 0\n", "'agent.control_port'"),
        ("[agent]\ncontrol_port = 65536\n", "'agent.control_port'"),
        ("[agent]\ncontrol_port = 'high'\n", "'agent.control_port'"),
        ("[agent]\nname = '../x'\n", "'agent.name'"),
        ("agent = 5\n", "'agent'"),
        ("[hpc]\nstart_timeout_s = nan\n", "'hpc.start_timeout_s'"),
        ("[hub]\nmlflow_url = 'localhost'\n", "'hub.mlflow_url'"),
        ("[agent]\nname = 'a'\nname = 'b'\n", "not valid TOML"),
        ("[agent\n", "not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named(write: WriteFile, text: str, named: str) -> None:
    path = write(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path, environment={})
    assert named in caught.value.what
    assert str(path) in caught.value.what
    assert "\n" not in str(caught.value).replace(named, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EUCENTRIC__AGNET__NAME", "x"),
        ("EUCENTRIC__AGENT__NAMES", "x"),
        ("EUCENTRIC__AGENT__NAME__FIRST", "x"),
        ("EUCENTRIC__", "x"),
        ("EUCENTRIC____", "x"),
        ("eucentric__agent__nmae", "x"),
    ],
)
def test_an_unknown_variable_with_our_prefix_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load_settings(environment={name: value})


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("EUCENTRIC__AGENT__DATA_PORT", "", "agent.data_port"),
        ("EUCENTRIC__AGENT__DATA_PORT", "4311.5", "agent.data_port"),
        ("EUCENTRIC__AGENT__DRIVER", "{", "agent"),
        ("EUCENTRIC__AGENT", "[1]", "agent"),
    ],
)
def test_a_wrong_value_in_the_environment_is_named(name: str, value: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        load_settings(environment={name: value})
    assert "environment" in caught.value.what.lower()


@pytest.mark.parametrize("flags", [{"agent": {"nmae": "x"}}, {"x": 1}, {"agent": {"name": ""}}])
def test_a_wrong_flag_is_named(flags: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="command line"):
        load_settings(flags=flags, environment={})


def test_a_file_that_cannot_be_read_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        load_settings(tmp_path / "none.toml", environment={})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_settings(tmp_path, environment={})
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        load_settings(tmp_path / "binary.toml", environment={})
