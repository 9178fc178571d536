"""The audit log: what is in it stays in it, and a changed line shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eucentric_agents import verify_audit
from eucentric_agents.control import AuditLog, AuditRecord, AuditWriteError
from eucentric_core import ErrorReport, IntegrityError, Role


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of five records, closed."""
    path = tmp_path / "audit.jsonl"
    audit = AuditLog(path)
    for number in range(5):
        audit.append(
            "ada",
            "stage.move",
            "done",
            role=Role.SCIENTIST,
            epoch=number + 1,
            details={"x_m": number * 1e-9},
            before={"beam_blanked": True},
        )
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


def _edit(number: int, old: str, new: str) -> Callable[[list[str]], list[str]]:
    """Change the text of one line, counted from 1."""

    def change(lines: list[str]) -> list[str]:
        assert old in lines[number - 1]
        return [*lines[: number - 1], lines[number - 1].replace(old, new, 1), *lines[number:]]

    return change


def _order(*numbers: int) -> Callable[[list[str]], list[str]]:
    """Leave these lines in this order."""
    return lambda lines: [lines[number - 1] for number in numbers]


def _end(text: str) -> Callable[[list[str]], list[str]]:
    """Put something behind the last line."""
    return lambda lines: [*lines, text]


CORRUPTIONS: dict[str, tuple[Callable[[list[str]], list[str]], int]] = {
    "who": (_edit(3, '"ada"', '"eve"'), 3),
    "who, first line": (_edit(1, '"ada"', '"eve"'), 1),
    "who, last line": (_edit(5, '"ada"', '"eve"'), 5),
    "action": (_edit(2, "stage.move", "stage.stop"), 2),
    "outcome": (_edit(4, '"done"', '"refused"'), 4),
    "outcome of no kind": (_edit(4, '"done"', '"maybe"'), 4),
    "epoch": (_edit(2, '"epoch":2', '"epoch":9'), 2),
    "role": (_edit(2, '"role":"scientist"', '"role":"admin"'), 2),
    "value": (_edit(3, "2e-9", "3e-9"), 3),
    "the same value, written in another way": (_edit(3, "2e-9", "0.000000002"), 3),
    "before": (_edit(3, '"beam_blanked":true', '"beam_blanked":false'), 3),
    "time": (_edit(2, '"at_utc":"20', '"at_utc":"19'), 2),
    "a space": (_edit(2, ",", ", "), 2),
    "an unknown field": (_edit(4, '"index":3', '"index":3,"x":1'), 4),
    "a field twice": (_edit(4, '"index":3', '"index":3,"index":3'), 4),
    "digest": (_edit(3, '"digest":"', '"digest":"0'), 3),
    "previous": (_edit(3, '"previous":"', '"previous":"0'), 3),
    "one line removed": (_order(1, 2, 4, 5), 3),
    "the first line removed": (_order(2, 3, 4, 5), 1),
    "the last line removed": (_order(1, 2, 3, 4), 5),
    "the last two lines removed": (_order(1, 2, 3), 4),
    "everything removed": (_order(), 1),
    "two lines swapped": (_order(1, 3, 2, 4, 5), 2),
    "a line repeated": (_order(1, 2, 3, 3, 4, 5), 4),
    "no JSON": (lambda lines: [*lines[:3], "hello", *lines[4:]], 4),
    "an empty line": (_end(""), 6),
    "something behind it": (_end("{}"), 6),
    "a NUL": (_edit(5, "a", "\0"), 5),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_is_found_and_the_first_bad_line_named(log: Path, name: str) -> None:
    corrupt, line = CORRUPTIONS[name]
    log.write_text("".join(f"{text}\n" for text in corrupt(log.read_text().splitlines())))
    with pytest.raises(IntegrityError) as found:
        verify_audit(log)
    assert found.value.details["line"] == line
    assert f"Line {line} of audit.jsonl" in found.value.what


@given(place=st.integers(min_value=0), byte=st.integers(0, 255))
@settings(
    max_examples=200,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_byte_can_be_changed_unseen(log: Path, place: int, byte: int) -> None:
    whole = log.read_bytes()
    place %= len(whole)
    if whole[place] == byte:
        return
    log.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
    try:
        with pytest.raises(IntegrityError) as found:
            verify_audit(log)
    finally:
        log.write_bytes(whole)
    assert found.value.details["line"] == whole.count(b"\n", 0, place) + 1


@given(length=st.integers(min_value=0))
@settings(
    max_examples=100,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_the_log_cannot_be_cut_anywhere_unseen(log: Path, length: int) -> None:
    whole = log.read_bytes()
    length %= len(whole)
    log.write_bytes(whole[:length])
    try:
        with pytest.raises(IntegrityError) as found:
            verify_audit(log)
    finally:
        log.write_bytes(whole)
    assert found.value.details["line"] == whole.count(b"\n", 0, length) + 1


def test_a_log_that_was_written_anew_from_the_first_line_does_not_match_its_head(
    log: Path, tmp_path: Path
) -> None:
    forged = tmp_path / "forged.jsonl"
    audit = AuditLog(forged)
    for _ in range(6):
        audit.append("ada", "stage.move", "done")
    audit.close()
    assert verify_audit(forged).records == 6
    log.write_bytes(forged.read_bytes())
    with pytest.raises(IntegrityError, match="Line 5 of audit"):
        verify_audit(log)


def test_an_agent_that_finds_its_log_gone_says_so_in_the_new_one(log: Path) -> None:
    head = verify_audit(log).head
    log.unlink()
    audit = AuditLog(log)
    audit.close()
    (record,) = [AuditRecord.model_validate_json(line) for line in log.read_text().splitlines()]
    assert record.action == "audit.begun_anew"
    assert record.details == {"records_before": 5, "head_before": head}
    assert verify_audit(log).records == 1


def test_an_agent_does_not_append_to_a_log_whose_last_lines_are_gone(log: Path) -> None:
    kept = log.read_text().splitlines()[:3]
    log.write_text("\n".join(kept) + "\n")
    with pytest.raises(IntegrityError, match="Line 4"):
        AuditLog(log)


def test_a_log_of_the_first_version_verifies_and_goes_on(tmp_path: Path) -> None:
    old = Path(__file__).parent / "golden" / "audit.first-version.jsonl"
    assert verify_audit(old).records == 4
    log = tmp_path / "audit.jsonl"
    log.write_bytes(old.read_bytes())
    audit = AuditLog(log)
    audit.append("ada", "stage.move", "done", role=Role.SCIENTIST, after={"scanning": False})
    audit.close()
    assert verify_audit(log).records == 5


def test_a_forged_digest_breaks_the_line_after_it(log: Path) -> None:
    lines = log.read_text().splitlines()
    forged = AuditRecord.model_validate({**json.loads(lines[1]), "who": "eve"})
    lines[1] = forged.model_copy(update={"digest": forged.computed_digest()}).line()
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


def test_what_is_sent_at_length_does_not_make_a_line_too_long_to_read_back(log: Path) -> None:
    audit = AuditLog(log)
    error = ErrorReport(code="x", what="w" * 90_000, safe="s", next_step="n", details={"d": "e" * 90_000})
    audit.append(
        "eve",
        "interlocks.tighten",
        "refused",
        trace_id="t" * 900_000,
        details={"x": "y" * 900_000},
        error=error,
    )
    audit.close()
    assert verify_audit(log).records == 6
    last = log.read_text().splitlines()[-1]
    assert len(last) < 4000
    record = AuditRecord.model_validate_json(last)
    shortened_from = record.details["shortened_from_characters"]
    assert isinstance(shortened_from, int)
    assert shortened_from > 1_800_000
    audit = AuditLog(log)
    audit.close()
