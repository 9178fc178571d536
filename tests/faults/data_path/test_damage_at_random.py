"""Damage anywhere in what a killed recording left: a frame is whole or missing by name, never another one.

What each kind of damage in each place costs is told in `tests/agents/recording/test_damaged_segments.py`; a
seeded generator chooses here, twenty times in a usual run and a thousand times with `--nightly`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from eucentric_agents.recording import Journal

from ...frames import build_frame
from .outbox import brought_home

FRAMES = 6
SHAPE = (160, 128)
CASES, NIGHTLY_CASES = 20, 1000


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        nightly = metafunc.config.getoption("--nightly")
        metafunc.parametrize("seed", range(NIGHTLY_CASES if nightly else CASES))


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recording folder of an agent that was killed after six durable frames."""
    folder = tmp_path_factory.mktemp("left") / "recording"
    journal = Journal(folder, frames_per_shard=100, min_free_bytes=0)
    for sequence in range(FRAMES):
        journal.append(build_frame(sequence, shape=SHAPE))
        journal.sync()
    journal.close()
    return folder


def damage(folder: Path, chance: np.random.Generator) -> str:
    """Flip bits in, cut short or blank a part of one file of the open shard; returns what was done."""
    files = sorted(path for path in (folder / "open").iterdir() if path.is_file())
    path = files[int(chance.integers(0, len(files)))]
    content = bytearray(path.read_bytes())
    kind = str(chance.choice(["flip", "cut", "blank"]))
    place = int(chance.integers(0, len(content)))
    if kind == "flip":
        for at in chance.integers(0, len(content), int(chance.integers(1, 6))):
            content[at] ^= 1 << int(chance.integers(0, 8))
    elif kind == "cut":
        del content[place:]
    else:
        content[place : place + 4096] = bytes(len(content[place : place + 4096]))
    path.write_bytes(content)
    return f"{kind} {path.name}"


def test_a_frame_is_whole_or_listed_as_missing(left: Path, tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "recording"
    shutil.copytree(left, folder)
    done = damage(folder, np.random.default_rng([2404, seed]))
    try:
        found, dataset = brought_home(
            folder, tmp_path / "repository", frames=FRAMES, shape=SHAPE, frames_per_shard=100
        )
    except AssertionError as error:
        error.add_note(done)
        raise
    assert (dataset.state, dataset.missing) == ("complete", FRAMES - len(found)), done
    if len(found) < FRAMES and not done.startswith("cut"):
        assert any((folder / "quarantine").iterdir()), f"{done}: nobody can look at what was damaged"
