"""`eucentric globus login`, `show`, `check`, `logout`, as somebody at the control PC uses them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from eucentric.cli import main

from ..servers.globus import Collection
from ..transfer.globus_site import Site, agree, globus_far_end  # noqa: F401 - a fixture

Globus = Callable[..., tuple[int, str]]


@pytest.fixture
def config(globus_far_end: Site, tmp_path: Path) -> Path:  # noqa: F811 - a fixture
    """A settings file of a service."""
    return write_config(globus_far_end, tmp_path)


def write_config(site: Site, tmp_path: Path) -> Path:
    values = site.settings.model_dump(mode="json", exclude_none=True)
    lines = [
        f"home = {json.dumps(str(tmp_path / 'home'))}",
        "[agent]",
        f'ship_to = "{site.address}"',
        "[globus]",
    ]
    lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    path = tmp_path / "eucentric.toml"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str]) -> Globus:
    """Gives a command of `eucentric globus`; returns its exit status and what it said."""

    def command(*arguments: str) -> tuple[int, str]:
        status = main(["globus", *arguments, "--config", str(config)])
        said = capsys.readouterr()
        return status, said.out + said.err

    return command


def test_a_service_from_login_to_logout(globus_far_end: Site, run: Globus) -> None:  # noqa: F811
    status, said = run("login")
    assert (status, "Logged in to Globus as" in said) == (0, True)
    status, said = run("show")
    assert status == 0
    for fact in (globus_far_end.client_id, globus_far_end.near_id, globus_far_end.far_id, "none running"):
        assert fact in said
    status, said = run("check")
    assert status == 0
    assert "came back unchanged" in said
    assert globus_far_end.files() == {}
    status, said = run("logout")
    assert (status, "revoked" in said) == (0, True)
    status, said = run("logout")
    assert (status, "Nobody is logged in" in said) == (0, True)


def test_what_is_shown_holds_no_token(globus_far_end: Site, run: Globus) -> None:  # noqa: F811
    run("login")
    status, said = run("show", "--json")
    facts = json.loads(said)
    assert status == 0
    assert facts["app"] == "service"
    assert {token["service"] for token in facts["tokens"]} == {"auth.globus.org", "transfer.api.globus.org"}
    assert [collection["use"] for collection in facts["collections"]] == ["source", "destination"]
    auth = globus_far_end.emulator.auth
    assert [secret for secret in (globus_far_end.secret, *auth.issued) if secret in said] == []


def test_running_tasks_are_shown(globus_far_end: Site, run: Globus) -> None:  # noqa: F811
    globus_far_end.emulator.faults.stall = True
    mover = globus_far_end.mover()
    item = {"source_path": "/base/nothing", "destination_path": "/base/nothing"}
    _, task_id = mover._runner.transfer("put", (globus_far_end.near_id, globus_far_end.far_id), [item])
    status, said = run("show")
    assert status == 0
    assert f"{task_id} OK: eucentric put 1 files" in said


def test_a_check_says_which_step_fails(globus_far_end: Site, run: Globus) -> None:  # noqa: F811
    globus_far_end.emulator.collections[globus_far_end.far_id].read_only = True
    status, said = run("check")
    assert status == 2
    assert "Permission denied" in said
    assert "came back" not in said


def test_a_check_in_figures(globus_far_end: Site, run: Globus) -> None:  # noqa: F811
    status, said = run("check", "--json", "--bytes", "1000")
    assert status == 0
    assert [step["step"] for step in json.loads(said)["steps"]] == ["send", "fetch", "remove"]


def test_without_a_far_end_nothing_is_sent(config: Path, run: Globus) -> None:
    config.write_text("\n".join(line for line in config.read_text().splitlines() if "ship_to" not in line))
    status, said = run("check")
    assert (status, "name no collection" in said) == (2, True)


def test_a_wrong_address_is_said(run: Globus) -> None:
    status, said = run("check", "--to", "globus://nowhere/path")
    assert (status, "no address of a Globus collection" in said) == (2, True)


def test_a_person_logs_in_by_a_browser_and_a_code(
    globus_far_end: Site,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site = globus_far_end
    site.emulator.collections[site.far_id] = Collection(site.far, mapped=True)
    site.as_person()
    config = write_config(site, tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "eucentric", "globus", "login", "--config", str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.strip().startswith("http"):
                process.stdin.write(agree(line.strip()) + "\n")
                process.stdin.flush()
        assert process.wait(timeout=60) == 0, "".join(said)
    everything = "".join(said)
    assert "Logged in to Globus as anna@emulated.example" in everything
    assert f"{site.far_id}/data_access" in site.emulator.auth.consented_to[-1]
    assert [secret for secret in site.emulator.auth.issued if secret in everything] == []

    assert main(["globus", "check", "--config", str(config)]) == 0
    assert main(["globus", "show", "--config", str(config)]) == 0
    assert "renewed by itself" in capsys.readouterr().out
    assert main(["globus", "logout", "--config", str(config)]) == 0
    assert main(["globus", "check", "--config", str(config)]) == 2
    assert "eucentric globus login" in capsys.readouterr().err


def test_show_before_anybody_logged_in(
    globus_far_end: Site,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    globus_far_end.as_person()
    config = write_config(globus_far_end, tmp_path)
    assert main(["globus", "show", "--config", str(config)]) == 0
    assert "nobody is logged in" in capsys.readouterr().out
