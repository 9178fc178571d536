"""Folders that copies for safety leave out."""

from __future__ import annotations

import subprocess
from pathlib import Path

from eucentric_core import is_scratch_folder, mark_scratch_folder


def test_a_marked_folder_is_known_as_such(tmp_path: Path) -> None:
    assert not is_scratch_folder(tmp_path)
    mark_scratch_folder(tmp_path)
    mark_scratch_folder(tmp_path)
    assert is_scratch_folder(tmp_path)
    assert not is_scratch_folder(tmp_path / "CACHEDIR.TAG")


def test_a_file_of_that_name_is_no_mark_by_itself(tmp_path: Path) -> None:
    (tmp_path / "CACHEDIR.TAG").write_text("made by hand")
    assert not is_scratch_folder(tmp_path)


def test_tar_knows_the_mark(tmp_path: Path) -> None:
    for name in ("run", "provided"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "frames.npz").write_bytes(b"frames")
    mark_scratch_folder(tmp_path / "run")
    subprocess.run(
        ["tar", "cf", "a.tar", "--exclude-caches-all", "run", "provided"], cwd=tmp_path, check=True
    )
    held = subprocess.run(["tar", "tf", "a.tar"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert held.stdout.split() == ["provided/", "provided/frames.npz"]
