"""The audit log as people far away read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eucentric_agents.control import AuditLog, AuditView


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "audit.jsonl"
    log = AuditLog(made)
    for number in range(4):
        log.append("ada/notebook" if number % 2 else "bob", "lease.request", "done", details={"n": number})
    log.append("ada/notebook", "beam.blank", "done")
    log.close()
    return made


def ask(view: AuditView, **question: Any) -> dict[str, Any]:
    return dict(view.answer({"client": "test", **question}))


def test_the_newest_come_first_and_the_chain_holds(path: Path) -> None:
    answer = ask(AuditView(path))

    assert [record["index"] for record in answer["records"]] == [4, 3, 2, 1, 0]
    assert (answer["checked"], answer["written"], answer["broken"]) == (5, 5, None)
    assert answer["head"] == answer["records"][0]["digest"]


def test_they_are_found_by_person_and_action(path: Path) -> None:
    view = AuditView(path)

    assert [record["index"] for record in ask(view, who="ada")["records"]] == [4, 3, 1]
    assert [record["index"] for record in ask(view, who="ada", action="lease")["records"]] == [3, 1]
    assert [record["index"] for record in ask(view, limit=2)["records"]] == [4, 3]


def test_what_is_written_later_is_read_on(path: Path) -> None:
    view = AuditView(path)
    ask(view)
    log = AuditLog(path)
    log.append("eve", "safe_stop", "done")
    log.close()

    assert ask(view)["records"][0]["who"] == "eve"


@pytest.mark.parametrize("line", [0, 2])
def test_a_changed_line_is_named_and_nothing_after_it_is_believed(path: Path, line: int) -> None:
    lines = path.read_text().splitlines()
    record = json.loads(lines[line])
    lines[line] = json.dumps({**record, "who": "somebody else"})
    path.write_text("".join(f"{text}\n" for text in lines))

    answer = ask(AuditView(path))

    assert f"line {line + 1}" in answer["broken"].lower()
    assert answer["checked"] == line
    assert len(answer["records"]) == line


def test_lines_cut_off_the_end_are_missed(path: Path) -> None:
    path.write_text("".join(f"{text}\n" for text in path.read_text().splitlines()[:3]))

    answer = ask(AuditView(path))

    assert (answer["checked"], answer["written"]) == (3, 5)
    assert "5 were written" in answer["broken"]
