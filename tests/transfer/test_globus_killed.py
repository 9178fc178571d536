"""`kill -9` between any two steps of a delivery by Globus: the next process goes on with the same task."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eucentric_transfer import Outgoing, RemoteFile

from ..servers.globus import GlobusEmulator
from .globus_site import Site

# A step, how many times it is passed, and how many transfers Globus has seen when all is done.
STEPS: dict[str, tuple[str, int, int]] = {
    "number fetched, not written down": ("globus put: number fetched, not written down", 1, 1),
    "written down, not submitted": ("globus put: written down, not submitted", 1, 1),
    "submitted, its id not noted": ("globus put: submitted, its id not noted", 1, 1),
    "id noted, not waited for": ("globus put: id noted, not waited for", 1, 1),
    "ended, not noted": ("globus put: ended, not noted", 1, 1),
    "seen under their hidden names": ("globus put: seen under their hidden names", 1, 1),
    "the first renamed": ("globus put: renamed", 1, 1),
    "some renamed": ("globus put: renamed", 3, 1),
    "all renamed": ("globus put: renamed", 6, 1),
    "seen under their names, not settled": ("globus put: seen under their names, not settled", 1, 1),
    # Nobody was told that it had arrived, so it is sent once more.
    "settled, nobody told": ("globus put: settled, copies not removed", 1, 2),
    "an old file deleted, the new one not renamed": ("globus delete: ended, not noted", 1, 1),
    "an old file about to be deleted": ("globus delete: written down, not submitted", 1, 1),
}


Killed = Callable[[Site, dict[str, Path], str, int], int]


@pytest.fixture(scope="module")
def killed(globus_emulator: GlobusEmulator) -> Iterator[Killed]:
    """Sends a batch in a process that dies at a step; returns how it ended."""
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("globus_process.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )

    def run(site: Site, files: dict[str, Path], step: str, occurrence: int) -> int:
        assert process.stdin is not None
        assert process.stdout is not None
        order = {
            "settings": site.settings.model_dump(mode="json"),
            "address": site.address,
            "files": {name: str(path) for name, path in files.items()},
            "step": step,
            "occurrence": occurrence,
        }
        process.stdin.write(json.dumps(order) + "\n")
        status: int = json.loads(process.stdout.readline())
        return status

    with process:
        yield run
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=30) == 0


@pytest.fixture
def files(globus_far_end: Site) -> dict[str, Path]:
    """Six shards in the folder that Globus is shown."""
    folder = globus_far_end.near / "base" / "shards"
    folder.mkdir()
    found = {}
    for number in range(6):
        path = folder / f"{number}.h5"
        path.write_bytes(b"%d" % number * 1000)
        found[f"incoming/{number}.h5"] = path
    return found


@pytest.mark.parametrize("point", STEPS)
def test_a_kill_at_a_labelled_step(
    globus_far_end: Site, killed: Killed, files: dict[str, Path], point: str
) -> None:
    site = globus_far_end
    step, occurrence, transfers = STEPS[point]
    if step.startswith("globus delete"):
        # An older file of the same name is in the way of the second.
        site.plant("incoming/1.h5", b"older")
    assert killed(site, files, step, occurrence) == -signal.SIGKILL, "the step was never reached"

    mover = site.mover()
    answers = mover.put_many([Outgoing(path, name) for name, path in files.items()])

    contents = {name: path.read_bytes() for name, path in files.items()}
    assert answers == tuple(
        RemoteFile(name=name, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    )
    assert site.files() == contents
    assert site.transfers() == transfers
    assert mover._ledger.unsettled("put") == ()


def test_without_a_kill_it_arrives_at_once(
    globus_far_end: Site, killed: Killed, files: dict[str, Path]
) -> None:
    assert killed(globus_far_end, files, "never", 1) == 0
    assert globus_far_end.transfers() == 1


def test_a_batch_that_was_cut_differently_before_the_kill(
    globus_far_end: Site, killed: Killed, files: dict[str, Path]
) -> None:
    site = globus_far_end
    first = dict(list(files.items())[:4])
    assert killed(site, first, "globus put: id noted, not waited for", 1) == -signal.SIGKILL
    last = dict(list(files.items())[2:])
    answers = site.mover().put_many([Outgoing(path, name) for name, path in last.items()])
    assert all(isinstance(answer, RemoteFile) for answer in answers)
    assert site.files() == {name: path.read_bytes() for name, path in files.items()}


def test_a_task_that_was_written_down_long_ago_is_sent_anew(
    globus_far_end: Site, killed: Killed, files: dict[str, Path]
) -> None:
    site = globus_far_end
    assert killed(site, files, "globus put: written down, not submitted", 1) == -signal.SIGKILL
    mover = site.mover()
    with mover._ledger._change() as connection:
        document = json.loads(connection.execute("SELECT document FROM tasks").fetchone()[0])
        document["deadline"] = "2020-01-01T00:00:00+00:00"
        connection.execute("UPDATE tasks SET document = ?", (json.dumps(document),))
    answers = mover.put_many([Outgoing(path, name) for name, path in files.items()])
    assert all(isinstance(answer, RemoteFile) for answer in answers)
    assert site.transfers() == 1
    assert mover._ledger.unsettled() == ()


def test_a_file_that_is_another_by_then_is_sent_as_it_is(
    globus_far_end: Site, killed: Killed, files: dict[str, Path]
) -> None:
    site = globus_far_end
    assert killed(site, files, "globus put: seen under their hidden names", 1) == -signal.SIGKILL
    files["incoming/0.h5"].write_bytes(b"another content")
    answers = site.mover().put_many([Outgoing(path, name) for name, path in files.items()])
    assert all(isinstance(answer, RemoteFile) for answer in answers)
    assert site.files() == {name: path.read_bytes() for name, path in files.items()}
