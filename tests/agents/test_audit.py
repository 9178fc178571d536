"""The audit log: what is in it stays in it, and a changed line shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from eucentric_agents import verify_audit
from eucentric_agents.control import AuditLog, AuditRecord, AuditWriteError
from eucentric_core import IntegrityError


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of five records, closed."""
    path = tmp_path / "audit.jsonl"
    audit = AuditLog(path)
    for number in range(5):
        audit.append("ada", "stage.move", "done", epoch=number + 1, details={"x_m": number * 1e-9})
    audit.close()
    return path


def test_a_log_verifies_and_goes_on_where_it_ended(log: Path) -> None:
    before = verify_audit(log)
    audit = AuditLog(log)
    assert audit.head == before.head
    audit.append("bob", "beam.blank", "done")
    audit.close()
    after = verify_audit(log)
    assert (before.records, after.records) == (5, 6)
    assert after.head != before.head


def _change_who(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[2].replace('"ada"', '"eve"'), *lines[3:]]


def _remove_one(lines: list[str]) -> list[str]:
    return lines[:2] + lines[3:]


def _swap_two(lines: list[str]) -> list[str]:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def _repeat_one(lines: list[str]) -> list[str]:
    return [*lines[:3], lines[2], *lines[3:]]


def _not_json(lines: list[str]) -> list[str]:
    return [*lines[:3], "hello", *lines[4:]]


@pytest.mark.parametrize(
    ("tamper", "line"),
    [(_change_who, 3), (_remove_one, 3), (_swap_two, 2), (_repeat_one, 4), (_not_json, 4)],
)
def test_tampering_is_found_and_the_line_named(
    log: Path, tamper: Callable[[list[str]], list[str]], line: int
) -> None:
    log.write_text("\n".join(tamper(log.read_text().splitlines())) + "\n")
    with pytest.raises(IntegrityError) as found:
        verify_audit(log)
    assert found.value.details["line"] == line


def test_a_forged_digest_breaks_the_line_after_it(log: Path) -> None:
    lines = log.read_text().splitlines()
    forged = AuditRecord.model_validate({**json.loads(lines[1]), "who": "eve"})
    lines[1] = forged.model_copy(update={"digest": forged.computed_digest()}).model_dump_json()
    log.write_text("\n".join(lines) + "\n")
    with pytest.raises(IntegrityError) as found:
        verify_audit(log)
    assert found.value.details["line"] == 3


def test_a_line_cut_short_by_a_power_cut_is_kept_aside_and_the_chain_goes_on(log: Path) -> None:
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"index": 5, "at_u')
    audit = AuditLog(log)
    audit.append("ada", "scan.abort", "done")
    audit.close()
    assert verify_audit(log).records == 7
    torn = list(log.parent.glob("audit.jsonl.torn-*"))
    assert [path.read_bytes() for path in torn] == [b'{"index": 5, "at_u']
    assert json.loads(log.read_text().splitlines()[5])["details"]["kept_in"] == torn[0].name


def test_an_agent_does_not_append_to_a_log_whose_end_was_changed(log: Path) -> None:
    *kept, last = log.read_text().splitlines()
    log.write_text("\n".join([*kept, last.replace('"ada"', '"eve"')]) + "\n")
    with pytest.raises(IntegrityError):
        AuditLog(log)


def test_a_record_the_disk_has_no_room_for_is_an_error_and_leaves_no_trace(log: Path) -> None:
    resource = pytest.importorskip("resource")
    before = log.read_bytes()
    audit = AuditLog(log)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 40, hard))
    try:
        with pytest.raises(AuditWriteError):
            audit.append("ada", "stage.move", "begun")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.read_bytes() == before
    audit.append("ada", "stage.move", "begun")
    audit.close()
    assert verify_audit(log).records == 6
