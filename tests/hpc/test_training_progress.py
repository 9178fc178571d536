"""How far a training is, told through files."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucentric_hpc import ProgressWriter, read_progress


def test_what_a_worker_writes_is_what_the_waiting_read(tmp_path: Path) -> None:
    first, second = (
        ProgressWriter(tmp_path / "progress", f"member-{index}", period_s=0) for index in (2, 10)
    )
    second(1, 50, 0.5)
    first(7, 40, 0.25)
    first(8, 40, 0.125)
    told = read_progress(tmp_path / "progress")
    assert [progress.task for progress in told] == ["member-2", "member-10"]
    assert (told[0].step, told[0].steps, told[0].loss, told[0].resumed_from_step) == (8, 40, 0.125, 6)
    assert told[0].remaining_s == pytest.approx(32 * told[0].elapsed_s)
    assert told[1].remaining_s is None
    assert not told[0].done


def test_a_shared_file_system_is_spared_but_the_last_step_is_told(tmp_path: Path) -> None:
    writer = ProgressWriter(tmp_path, "member-0", period_s=3600)
    for step in range(1, 11):
        writer(step, 10, 1 / step)
        if step == 9:
            assert read_progress(tmp_path)[0].step == 1
    (progress,) = read_progress(tmp_path)
    assert (progress.step, progress.done, progress.remaining_s) == (10, True, 0)


def test_what_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    ProgressWriter(tmp_path, "member-0")(1, 2, 0.5)
    (tmp_path / "member-1.progress.json").write_text('{"task": "member-1"')
    assert [progress.task for progress in read_progress(tmp_path)] == ["member-0"]
    assert read_progress(tmp_path / "nowhere") == ()
