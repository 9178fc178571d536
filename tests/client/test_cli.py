"""The command line says one clear sentence, and imports no room before it is asked for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from eucentric.cli import main
from eucentric.cli._roles import ROLES, Role, run_role
from eucentric_core import UnsupportedError, load_settings

ROOM = """
import typer
from eucentric_core import BusyError

app = typer.Typer()

@app.command()
def hello(name: str, loud: bool = False) -> None:
    print(f"hello {name}" + "!" * loud)

@app.command()
def refuse() -> None:
    raise BusyError("Scanning.", safe="beam is on.", next_step="abort.")

@app.command()
def wait() -> None:
    import time
    print("waiting", flush=True)
    time.sleep(600)

@app.command()
def think() -> None:
    import a_heavy_package

def alone(times: int = 1) -> None:
    print("alone" * times)
"""

RUN = """
import sys
sys.path.insert(0, {folder!r})
import eucentric.cli._main as cli
from eucentric.cli._roles import Role
role = Role("room", "a_room", "app", "edge", "A room.")
cli.mount(role)
sys.exit(cli.main(["room", *sys.argv[1:]]))
"""

WITHOUT = """
import importlib.abc, sys

class NotInstalled(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, NotInstalled())
from eucentric.cli import main
sys.exit(main({arguments!r}))
"""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Role:
    """A room of its own, so that these tests need no other."""
    (tmp_path / "a_room.py").write_text(ROOM)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "a_room", raising=False)
    return Role("room", "a_room", "app", "edge", "A room.")


def run_without(missing: set[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a fresh interpreter, as if some packages were not installed."""
    script = WITHOUT.format(missing=missing, arguments=list(arguments))
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_list_of_commands_names_every_role_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(role.name in text for role in ROLES)
    others = {role.module.partition(".")[0] for role in ROLES} - {"eucentric"}
    outcome = run_without(others | {"torch", "prefect", "mlflow", "parsl", "nicegui"}, "--help")
    assert outcome.returncode == 0, outcome.stderr


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_role_has_its_help(role: Role, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([role.name, "--help"]) == 0
    assert f"eucentric {role.name}" in capsys.readouterr().out


@pytest.mark.parametrize("role", ["agent", "edge", "repository", "keys"])
def test_help_needs_nothing_heavy(role: str) -> None:
    outcome = run_without(
        {"torch", "prefect", "mlflow", "parsl", "nicegui", "scipy", "skimage"}, role, "--help"
    )
    assert outcome.returncode == 0, outcome.stderr


def test_a_role_that_is_not_installed_is_one_sentence_with_the_extra() -> None:
    outcome = run_without({"eucentric_edge"}, "edge", "serve")
    assert outcome.returncode == 2
    assert "`eucentric edge` needs eucentric_edge, which is not installed" in outcome.stderr
    assert "pip install 'eucentric[edge]'" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_package_that_a_command_lacks_is_one_sentence_with_the_extra(room: Role) -> None:
    with pytest.raises(UnsupportedError, match="needs a_heavy_package") as caught:
        run_role(room, ["think"])
    assert caught.value.details == {"extra": "edge", "missing": "a_heavy_package"}


def test_a_fault_of_ours_is_not_called_a_missing_package(tmp_path: Path, room: Role) -> None:
    (tmp_path / "a_room.py").write_text("import eucentric_core.no_such_module")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        run_role(room, [])


def test_everything_behind_the_name_belongs_to_the_room(
    room: Role, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (
        ["hello", "you", "--loud"],
        ["hello", "--loud", "you"],
        ["hello", "--loud", "--", "you"],
    ):
        with pytest.raises(SystemExit) as end:
            run_role(room, arguments)
        assert end.value.code in (0, None)
        assert capsys.readouterr().out == "hello you!\n"


def test_a_single_function_is_a_command(room: Role, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_role(Role("alone", room.module, "alone", "hub", "Alone."), ["--times", "2"])
    assert capsys.readouterr().out == "alonealone\n"


def test_options_pass_through_the_root_unchanged(tmp_path: Path, room: Role) -> None:
    outcome = subprocess.run(
        [sys.executable, "-c", RUN.format(folder=str(tmp_path)), "hello", "--loud", "you"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (outcome.returncode, outcome.stdout) == (0, "hello you!\n")


def test_a_typed_error_is_three_lines_and_no_traceback(tmp_path: Path, room: Role) -> None:
    outcome = subprocess.run(
        [sys.executable, "-c", RUN.format(folder=str(tmp_path)), "refuse"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert outcome.returncode == 2
    assert outcome.stdout == ""
    assert outcome.stderr == "error: Scanning.\n  safe: beam is on.\n  next: abort.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupted_command_says_so_by_its_status(tmp_path: Path, room: Role) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN.format(folder=str(tmp_path)), "wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "waiting\n"
        os.kill(command.pid, signal.SIGINT)
        _, errors = command.communicate(timeout=30)
    assert command.returncode == 130
    assert "Traceback" not in errors


def test_an_unknown_command_or_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fly"]) == 2
    assert main(["agent", "serve", "--bogus"]) == 2
    assert main(["doctor", "--config"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("eucentric 0.")


def test_a_broken_settings_file_is_one_clear_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "machine.toml"
    path.write_text("[agent]\nport = 3\n")
    for command in (["config", "show"], ["doctor"], ["agent", "serve"]):
        assert main([*command, "--config", str(path)]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "agent.port" in shown.err
        assert "Traceback" not in shown.err


def test_the_shown_settings_are_a_settings_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "machine.toml"
    path.write_text(
        f"home = '{tmp_path}'\n[agent]\nname = 'quote\"d'\n".replace('"', "")
        + "[agent.driver]\nseed = 3\nlist = [1, 2.5]\nnested = { on = true }\n'odd key' = 'ä \"b\"'\n"
    )
    assert main(["config", "show", "--config", str(path)]) == 0
    again = tmp_path / "again.toml"
    again.write_text(capsys.readouterr().out, encoding="utf-8")
    assert load_settings(again, environment={}) == load_settings(path, environment={})


def test_the_origin_of_each_setting_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "machine.toml"
    path.write_text("[agent]\nname = 'scope'\n")
    monkeypatch.setenv("EUCENTRIC__EDGE__THREADS", "2")
    assert main(["config", "show", "--origin", "--json", "--config", str(path)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["agent.name"] == {"value": "scope", "origin": "file"}
    assert shown["edge.threads"] == {"value": 2, "origin": "environment"}
    assert shown["agent.data_port"]["origin"] == "default"

    assert main(["config", "show", "--origin", "--config", str(path)]) == 0
    text = capsys.readouterr().out
    assert tomllib.loads(text)["agent"]["name"] == "scope"
    (line,) = [line for line in text.splitlines() if line.startswith('name = "scope"')]
    assert line.endswith("# file")


def test_the_settings_as_json_are_those_that_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == load_settings().model_dump(mode="json")
