"""`eucentric audit`: what a site's safety officer does with the log."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from eucentric_agents._audit_cli import audit_app
from eucentric_agents.control import AuditLog, read_audit, verify_audit
from eucentric_core import Role


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An agent's home with a short history."""
    home = tmp_path / "home"
    audit = AuditLog(home / "agent" / "audit.jsonl")
    audit.append("agent", "agent.start", "done")
    for who in ("ada", "ada/notebook", "=HYPERLINK(1)", "[bold]eve\x1b[31m"):
        audit.append(who, "lease.request", "done", role=Role.SCIENTIST, epoch=1, details={"reason": "work"})
        audit.append(who, "stage.move", "begun", details={"x_m": 1e-9}, before={"scanning": False})
    audit.close()
    return home


def run(home: Path, *arguments: str) -> Result:
    """`eucentric audit` with these arguments, on a wide screen."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(audit_app, [*arguments, "--home", str(home)])


def shown(home: Path, *arguments: str) -> list[tuple[str, str]]:
    """Who did what, as `show --json` has it."""
    answer = json.loads(run(home, "show", "--json", *arguments).stdout)
    return [(record["who"], record["action"]) for record in answer["records"]]


def spoil(home: Path) -> None:
    """Change line 4."""
    log = home / "agent" / "audit.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join([*lines[:3], lines[3].replace("ada/notebook", "eve/notebook"), *lines[4:]]))


def test_a_whole_log_verifies_and_a_changed_one_names_its_line(home: Path) -> None:
    summary = verify_audit(home / "agent" / "audit.jsonl")
    assert json.loads(run(home, "verify", "--json").stdout) == summary.model_dump()
    assert "9 records, chain intact" in run(home, "verify").stdout
    spoil(home)
    outcome = run(home, "verify")
    assert outcome.exit_code == 2
    assert "error: Line 4 of audit.jsonl was changed after it was written." in outcome.stderr


def test_a_log_that_is_not_there_is_an_error_in_one_sentence(tmp_path: Path) -> None:
    outcome = run(tmp_path, "verify")
    assert outcome.exit_code == 2
    assert "error: There is no audit log at" in outcome.stderr


def test_the_newest_records_are_shown_and_picked(home: Path) -> None:
    assert len(shown(home)) == 9
    assert shown(home, "--last", "1") == [("[bold]eve\x1b[31m", "stage.move")]
    assert shown(home, "--who", "ada") == [
        (who, action) for who in ("ada", "ada/notebook") for action in ("lease.request", "stage.move")
    ]
    assert shown(home, "--who", "ada/notebook", "--action", "stage") == [("ada/notebook", "stage.move")]
    assert shown(home, "--action", "agent.start") == [("agent", "agent.start")]
    assert len(shown(home, "--since", "1h")) == 9
    assert shown(home, "--since", "2999-01-01") == []
    refused = run(home, "show", "--since", "yesterday")
    assert refused.exit_code == 2
    assert "'yesterday' is no time" in refused.stderr


def test_the_table_shows_names_as_they_are_and_obeys_none_of_them(home: Path) -> None:
    table = run(home, "show").stdout
    assert "[bold]eve?[31m" in table
    assert "\x1b" not in table
    assert "reason work" in table


def test_on_a_narrow_screen_time_action_and_outcome_stay_whole(tmp_path: Path) -> None:
    audit = AuditLog(tmp_path / "agent" / "audit.jsonl")
    traits = {"address": "192.168.100.200", "fingerprint": "f" * 64}
    for action in ("optics.scan_rotation", "interlocks.tighten", "agent.unclean_end"):
        audit.append(
            "a-long-name/a-notebook", action, "refused", role=Role.SCIENTIST, epoch=7, details=traits
        )
    audit.close()
    table = CliRunner(env={"COLUMNS": "80"}).invoke(audit_app, ["show", "--home", str(tmp_path)]).stdout
    assert max(map(len, table.splitlines())) <= 80
    for record in read_audit(tmp_path / "agent" / "audit.jsonl"):
        (line,) = (line for line in table.splitlines() if record.action in line)
        assert f"{record.at_utc:%Y-%m-%d %H:%M:%S}" in line
        assert "refused" in line
    assert "epoch 7" in table.replace("\n", " ")
    for hidden in ("192.168", "fff"):
        assert hidden not in table
        assert hidden in run(tmp_path, "show", "--json").stdout


def test_every_command_takes_the_log_by_its_path(home: Path, tmp_path: Path) -> None:
    log = str(home / "agent" / "audit.jsonl")
    nowhere = tmp_path / "nowhere"
    for given in ([log], ["--log", log]):
        assert "9 records" in run(nowhere, "verify", *given).stdout
        assert len(shown(nowhere, *given)) == 9
        copy = tmp_path / f"copy-{len(given)}.jsonl"
        assert "9 records" in run(nowhere, "export", str(copy), *given).stdout


def test_what_is_good_of_a_broken_log_is_shown_before_it_fails(home: Path) -> None:
    spoil(home)
    outcome = run(home, "show")
    assert outcome.exit_code == 2
    assert outcome.stdout.count("lease.request") == 1
    assert "Line 4" in outcome.stderr


def test_an_export_holds_everything_and_overwrites_nothing(home: Path, tmp_path: Path) -> None:
    log = home / "agent" / "audit.jsonl"
    copy = tmp_path / "copy.jsonl"
    assert json.loads(run(home, "export", str(copy), "--json").stdout)["records"] == 9
    assert copy.read_bytes() == log.read_bytes()
    again = run(home, "export", str(copy), "--who", "ada")
    assert again.exit_code == 2
    assert "exists" in again.stderr
    assert copy.read_bytes() == log.read_bytes()

    sheet = tmp_path / "copy.csv"
    assert run(home, "export", str(sheet), "--action", "lease").exit_code == 0
    with sheet.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["who"] for row in rows] == ["ada", "ada/notebook", "'=HYPERLINK(1)", "[bold]eve\x1b[31m"]
    assert json.loads(rows[0]["details"]) == {"reason": "work"}
    assert rows[0]["role"] == "scientist"


@pytest.mark.parametrize("name", ["copy.xlsx", "missing/copy.csv"])
def test_an_export_that_cannot_be_written_is_refused(home: Path, tmp_path: Path, name: str) -> None:
    outcome = run(home, "export", str(tmp_path / name))
    assert outcome.exit_code == 2
    assert "nothing was written" in outcome.stderr
    assert not (tmp_path / name).exists()


def test_a_broken_log_is_not_exported(home: Path, tmp_path: Path) -> None:
    spoil(home)
    outcome = run(home, "export", str(tmp_path / "copy.csv"))
    assert outcome.exit_code == 2
    assert not (tmp_path / "copy.csv").exists()
