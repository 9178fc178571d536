"""Bad input to the demo: one clear sentence, a non-zero exit, nothing started and nothing left."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def refused(temporary: Path, *arguments: str) -> str:
    """Run the demo, which must refuse; returns what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "eucentric", "demo", "--picture", str(temporary / "loop.png"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "TMPDIR": str(temporary)},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert not list(temporary.glob("eucentric-demo-*")), "a temporary folder was left behind"
    return done.stderr


def test_an_unknown_instrument_is_named_with_the_known_ones(tmp_path: Path) -> None:
    said = refused(tmp_path, "--instrument", "titan")
    assert "'titan'" in said
    assert "twin" in said


def test_replay_needs_data(tmp_path: Path) -> None:
    assert "--data" in refused(tmp_path, "--instrument", "replay")


def test_a_data_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    assert "nowhere.dm3" in refused(
        tmp_path, "--instrument", "replay", "--data", str(tmp_path / "nowhere.dm3")
    )


def test_an_unreadable_data_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"this is no TIFF")
    said = refused(tmp_path, "--instrument", "replay", "--data", str(broken), "--pixel-size-pm", "20")
    assert "broken.tif" in said


def test_a_pixel_size_is_never_guessed(tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "frame.npy"
    np.save(path, np.ones((64, 64), np.float32))
    assert "--pixel-size-pm" in refused(tmp_path, "--instrument", "replay", "--data", str(path))


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = tmp_path / "site.toml"
        config.write_text(f"[edge]\ncontrol_port = {port}\n")
        assert str(port) in refused(tmp_path, "--config", str(config))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("this is no TOML", "TOML"),
        ("[agent]\nstage_speed = 3\n", "agent.stage_speed"),
        ("[agent]\ncontrol_port = 99999999\n", "agent.control_port"),
    ],
)
def test_a_broken_settings_file_is_named_with_the_key(tmp_path: Path, content: str, named: str) -> None:
    config = tmp_path / "site.toml"
    config.write_text(content)
    said = refused(tmp_path, "--config", str(config))
    assert named in said
    assert "site.toml" in said


def test_a_home_with_files_in_it_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("do not touch")
    assert "not empty" in refused(tmp_path, "--home", str(home))
    assert [path.name for path in home.iterdir()] == ["thesis.txt"]


def test_no_room_on_the_disk_is_said_before_anything_starts(tmp_path: Path, small_disk: Path) -> None:
    said = refused(tmp_path, "--home", str(small_disk / "home"))
    assert "MiB free" in said
