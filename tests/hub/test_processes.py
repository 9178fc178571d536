"""Which process is which service, and whether it lives: seen from here and from another container."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eucentric.hub._folder import HubFolder
from eucentric.hub._processes import is_alive, started_service, stop_left_over

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a hub runs on Linux")

BECOME = """
import os, pathlib, sys
from eucentric.hub._folder import HubFolder
from eucentric.hub._processes import note_started
note_started(HubFolder(pathlib.Path(sys.argv[1])), "flows", "1.0")
os.execv(sys.executable, [sys.executable, "-c", "import sys; print('ready', flush=True); sys.stdin.read()"])
"""


@pytest.fixture
def folder(tmp_path: Path) -> HubFolder:
    return HubFolder(tmp_path)


@pytest.fixture
def service(folder: HubFolder) -> Iterator[subprocess.Popen[str]]:
    """A process that said so and became something else, as `eucentric hub run` does."""
    with subprocess.Popen(
        [sys.executable, "-c", BECOME, str(folder.home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def move_to_another_container(folder: HubFolder) -> None:
    """Let the record be of a process that is numbered elsewhere; no process has that number here."""
    started = started_service(folder, "flows")
    assert started is not None
    elsewhere = started.model_copy(update={"namespace": started.namespace + 1, "pid": 2**22 + 1})
    (folder.running / "flows.json").write_text(elsewhere.model_dump_json())


def test_a_service_lives_until_it_ends(folder: HubFolder, service: subprocess.Popen[str]) -> None:
    started = started_service(folder, "flows")
    assert started is not None
    assert (started.pid, started.is_here, is_alive(folder, "flows")) == (service.pid, True, True)
    stop_left_over(folder, "flows")
    service.wait()
    assert not is_alive(folder, "flows")


def test_what_lives_in_another_container_is_seen_and_left_alone(
    folder: HubFolder, service: subprocess.Popen[str]
) -> None:
    move_to_another_container(folder)
    stop_left_over(folder, "flows")
    assert service.poll() is None
    assert is_alive(folder, "flows")
    service.kill()
    service.wait()
    assert not is_alive(folder, "flows")


def test_what_never_started_does_not_live(folder: HubFolder) -> None:
    assert not is_alive(folder, "flows")
    assert started_service(folder, "flows") is None
