"""The agent as a service of the machine: a unit that systemd itself accepts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eucentric_agents._cli import app
from eucentric_agents.service import UNIT_NAME, install_unit, unit_text
from eucentric_agents.service._windows import install_windows_service
from eucentric_core import AgentSettings, ConfigurationError, Settings, UnsupportedError


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "a folder with 100% spaces" / "eucentric.toml"
    path.parent.mkdir()
    path.write_text('[agent]\nname = "titan"\n', encoding="utf-8")
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", agent=AgentSettings(name="titan", ship_to=str(tmp_path / "site")))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
@pytest.mark.parametrize("user", ["root", None], ids=["machine", "account"])
def test_systemd_accepts_the_unit(settings: Settings, config: Path, tmp_path: Path, user: str | None) -> None:
    unit = install_unit(settings, config, tmp_path / "units", user=user)
    assert unit.name == UNIT_NAME
    scope = "--system" if user else "--user"
    outcome = subprocess.run(
        ["systemd-analyze", scope, "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
    )
    ours = [line for line in outcome.stderr.splitlines() if UNIT_NAME in line]
    assert ours == []


def test_the_unit_runs_this_python_and_may_write_only_where_the_agent_keeps_things(
    settings: Settings, config: Path
) -> None:
    lines = unit_text(settings, config, user="microscope").splitlines()
    command = next(line for line in lines if line.startswith("ExecStart="))
    assert sys.executable in command
    assert str(config).replace("%", "%%") in command
    writable = {line.partition("=")[2].strip('"') for line in lines if line.startswith("ReadWritePaths=")}
    assert writable == {str(settings.home), str(settings.agent.ship_to)}
    assert "Restart=on-failure" in lines
    assert "User=microscope" in lines


def test_the_service_may_write_beside_the_files_that_the_drivers_options_name(
    settings: Settings, config: Path, tmp_path: Path
) -> None:
    options = {
        "ledger": str(tmp_path / "ledgers" / "watchfolder.sqlite"),
        "specimen": {"journal": str(tmp_path / "journals" / "twin.jsonl"), "kind": "lattice"},
        "inside": str(settings.home / "agent" / "inside.sqlite"),
        "root": "/at-the-root.sqlite",
        "relative": "journal.jsonl",
    }
    agent = settings.agent.model_copy(update={"driver": options})
    text = unit_text(settings.model_copy(update={"agent": agent}), config, user="microscope")
    optional = {line for line in text.splitlines() if line.startswith('ReadWritePaths="-')}
    assert optional == {f'ReadWritePaths="-{tmp_path / name}"' for name in ("ledgers", "journals")}
    assert unit_text(settings, config, user="microscope").count("ReadWritePaths") == 2


def test_a_missing_settings_file_installs_nothing(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no settings file"):
        install_unit(settings, tmp_path / "absent.toml", tmp_path / "units", user=None)
    assert not (tmp_path / "units").exists()


def test_a_path_that_would_break_the_unit_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written into a systemd unit"):
        unit_text(settings, Path('/srv/a"\nExecStart=/bin/false'), user=None)


@pytest.mark.skipif(sys.platform == "win32", reason="tells what happens off Windows")
def test_a_unit_in_another_folder_has_to_be_copied_before_systemd_finds_it(
    config: Path, tmp_path: Path
) -> None:
    config.write_text(f"home = {str(tmp_path / 'home')!r}\n", encoding="utf-8")
    arguments = ["install-service", "--config", str(config), "--folder", str(tmp_path / "units")]
    for user, folder in ((["--user"], "systemd/user"), ([], "/etc/systemd/system")):
        said = CliRunner().invoke(app, [*arguments, *user])
        assert said.exit_code == 0, said.stderr
        assert f"{folder} first" in said.stdout
        assert said.stdout.index("copy it") < said.stdout.index("systemctl")
    started = CliRunner().invoke(app, [*arguments, "--start"])
    assert started.exit_code == 2
    assert "systemd does not look there" in started.stderr


def test_a_settings_file_that_is_missing_is_not_to_be_left_out(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["install-service", "--config", str(tmp_path / "absent.toml")])
    assert said.exit_code == 2
    assert "no settings file" in said.stderr
    assert "leave" not in said.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="tells what happens off Windows")
def test_off_windows_there_is_no_windows_service(config: Path) -> None:
    with pytest.raises(UnsupportedError, match="does not run Windows"):
        install_windows_service(config)
