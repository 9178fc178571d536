"""A command that cannot do its work says why in three lines, and says so by its exit status."""

from __future__ import annotations

import pytest

from eucentric_core import BusyError, clear_errors


def test_an_error_of_ours_is_three_lines_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, clear_errors():
        raise BusyError("Scanning.", safe="the beam is on.", next_step="abort the scan.")
    assert end.value.code == 2
    assert capsys.readouterr() == ("", "error: Scanning.\n  safe: the beam is on.\n  next: abort the scan.\n")


def test_a_fault_of_the_program_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), clear_errors():
        raise ZeroDivisionError
    assert capsys.readouterr() == ("", "")
