"""What an error quotes of a worker's log."""

from __future__ import annotations

import os
from pathlib import Path

from eucentric_hpc.executors._errors import last_lines


def write(path: Path, text: str, written_s: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (written_s, written_s))


def test_the_end_of_the_newest_log_that_says_anything(tmp_path: Path) -> None:
    write(tmp_path / "parsl" / "000" / "old.stderr", "long ago\n", 1)
    write(tmp_path / "parsl" / "001" / "job.stderr", "".join(f"line {n}\n" for n in range(100)), 2)
    write(tmp_path / "silent.err", "\n", 3)
    assert last_lines(tmp_path).splitlines() == [f"line {n}" for n in range(80, 100)]


def test_a_crash_is_quoted_from_its_beginning(tmp_path: Path) -> None:
    trace = "".join(f'  File "module.py", line {n}\n' for n in range(60))
    write(tmp_path / "job.stderr", f"before\nFatal Python error: Segmentation fault\n{trace}after\n", 1)
    quoted = last_lines(tmp_path).splitlines()
    assert quoted[0] == "Fatal Python error: Segmentation fault"
    assert len(quoted) == 20


def test_a_quote_is_bounded(tmp_path: Path) -> None:
    write(tmp_path / "job.stderr", "x" * 100_000 + "\n" + "y" * 5000, 1)
    assert last_lines(tmp_path) == "y" * 2000
    assert last_lines(tmp_path / "nowhere") == ""
