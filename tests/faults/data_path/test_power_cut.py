"""A power cut after any durable write: every frame that was acknowledged until then is recovered.

A process records a session while a small library notes what it makes durable: a file's content when it is
synced, the names in a folder when that is. From these notes the disk is laid out as it is after a cut, with
nothing on it that was not synced. A synced file keeps the name that it was made under; a later name, and a
removal, count from the sync of the folder on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from .chain import REPOSITORY_FOLDER
from .durable_recording import ACQUISITIONS, FRAMES_PER_SHARD, SHAPE
from .outbox import brought_home

CUTS, NIGHTLY_CUTS = 20, 500


@dataclass(frozen=True)
class Note:
    """One durable write: of a file's content, or of a folder's names."""

    copy: Path
    kind: str
    identity: str
    path: Path


@dataclass(frozen=True)
class Recorded:
    """What a recording made durable, and after how many durable writes each frame was acknowledged."""

    folder: Path
    notes: tuple[Note, ...]
    acknowledged: tuple[tuple[int, int], ...]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """One recording, from its first frame to its manifest."""
    if shutil.which("gcc") is None or sys.platform != "linux":
        pytest.skip("needs Linux and gcc")
    place = tmp_path_factory.mktemp("power")
    folder, notes, library = place / "recording", place / "notes", place / "durable.so"
    notes.mkdir()
    source = Path(__file__).with_name("durable_log.c")
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl", "-lpthread"], check=True
    )
    subprocess.run(
        [sys.executable, "-m", "tests.faults.data_path.durable_recording", str(folder), str(notes)],
        cwd=REPOSITORY_FOLDER,
        env={
            **os.environ,
            "LD_PRELOAD": str(library),
            "DURABLE_ROOT": str(folder),
            "DURABLE_LOG": str(notes),
        },
        check=True,
        timeout=100,
    )
    lines = [line.split(" ", 3) for line in (notes / "log").read_text().splitlines()]
    acknowledged = [line.split() for line in (notes / "acknowledged").read_text().splitlines()]
    return Recorded(
        folder,
        tuple(Note(notes / number, kind, identity, Path(path)) for number, kind, identity, path in lines),
        tuple((int(after), int(sequence)) for after, sequence in acknowledged),
    )


def lay_out(recorded: Recorded, cut: int, target: Path) -> None:
    """The folder as it is on the disk after the first `cut` durable writes."""
    contents: dict[str, Path] = {}
    names: dict[Path, dict[str, str]] = {}
    for note in recorded.notes[:cut]:
        if note.kind == "folder":
            listed = [
                (line.partition(" ")[0], line.partition(" ")[2])
                for line in note.copy.read_text().splitlines()
            ]
            names[note.path] = dict(listed)
        else:
            contents[note.identity] = note.copy
            names.setdefault(note.path.parent, {}).setdefault(note.identity, note.path.name)
    target.mkdir(parents=True)
    for parent, entries in names.items():
        if not parent.is_relative_to(recorded.folder):
            continue
        place = target / parent.relative_to(recorded.folder)
        place.mkdir(parents=True, exist_ok=True)
        for identity, name in entries.items():
            if identity in contents:
                shutil.copyfile(contents[identity], place / name)
            elif (recorded.folder / parent / name).is_dir():
                (place / name).mkdir(exist_ok=True)
            else:
                (place / name).touch()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "share" in metafunc.fixturenames:
        count = NIGHTLY_CUTS if metafunc.config.getoption("--nightly") else CUTS
        metafunc.parametrize("share", [round((n + 1) / count, 4) for n in range(count)])


def test_what_was_acknowledged_survives_a_power_cut(recorded: Recorded, tmp_path: Path, share: float) -> None:
    cut = max(1, round(share * len(recorded.notes)))
    acknowledged = [sequence for after, sequence in recorded.acknowledged if after <= cut]
    lay_out(recorded, cut, tmp_path / "recording")
    found, dataset = brought_home(
        tmp_path / "recording",
        tmp_path / "repository",
        frames=ACQUISITIONS,
        shape=SHAPE,
        frames_per_shard=FRAMES_PER_SHARD,
    )
    assert set(acknowledged) <= found
    assert (dataset.state, dataset.missing) == ("complete", ACQUISITIONS - len(found))


def test_the_recording_itself_came_to_its_end(recorded: Recorded) -> None:
    assert [sequence for _, sequence in recorded.acknowledged] == list(range(ACQUISITIONS))
    assert recorded.acknowledged[-1][0] < len(recorded.notes)
