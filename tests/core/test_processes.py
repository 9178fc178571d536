"""What was started is known to be ready, and known to be gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from eucentric_core import ManagedProcess, ServiceUnavailableError, load_settings

Start = Callable[..., ManagedProcess]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups of POSIX")

SERVICE = """
import sys
from pathlib import Path
from eucentric_core import configure_logging, service_lifetime
home = Path(sys.argv[1])
configure_logging("scope", home / "logs")
with service_lifetime("scope", home) as lifetime:
    lifetime.announce_ready({"port": 4310})
    lifetime.stopping.wait()
"""

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""

# A child that leaves the session and the group, loses its parent, and does not listen to SIGTERM.
RUNAWAY = """
import os, signal, subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
middle = f"import subprocess as s, sys; s.Popen([sys.executable, '-c', {child!r}], start_new_session=True)"
subprocess.run([sys.executable, "-c", middle], start_new_session=True)
print("ready", flush=True)
time.sleep(float(sys.argv[1]))
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts Python programs and stops them at the end."""
    started: list[ManagedProcess] = []

    def start(program: str, *arguments: object, **options: Any) -> ManagedProcess:
        command = [sys.executable, "-c", program, *map(str, arguments)]
        started.append(ManagedProcess("scope", command, log=tmp_path / "logs" / "out.log", **options))
        return started[-1]

    yield start
    for process in started:
        process.stop()


def descendants(process: ManagedProcess) -> list[psutil.Process]:
    """Who carries the process's mark."""
    return process._descendants()


def ready_pid(ready_file: Path) -> int | None:
    """The process that a ready file names."""
    try:
        return int(json.loads(ready_file.read_text())["pid"])
    except FileNotFoundError:
        return None


def logged(process: ManagedProcess, text: str) -> Callable[[], bool]:
    """Whether the log holds a text."""
    return lambda: text in process.log.read_text()


def test_a_service_says_when_it_is_ready_and_ends_when_asked(start: Start, tmp_path: Path) -> None:
    ready_file = tmp_path / "run" / "scope.json"
    service = start(SERVICE, tmp_path)
    service.wait_ready(ready_file.exists, timeout_s=30)
    assert json.loads(ready_file.read_text()) == {"pid": service.pid, "port": 4310}
    service.stop()
    assert service._process.returncode == 0
    assert not ready_file.exists()
    lines = [json.loads(line) for line in (tmp_path / "logs" / "scope.jsonl").read_text().splitlines()]
    assert [line["message"] for line in lines] == ["ready", "stopped"]
    assert lines[0]["facts"] == {"port": 4310}
    assert all(line["service"] == "scope" and line["time"].endswith("+00:00") for line in lines)
    # Nothing bounds the file of what a process prints, so log lines do not go there.
    assert service.log.read_text() == ""


def test_on_a_terminal_log_lines_are_shown(tmp_path: Path) -> None:
    screen, terminal = os.openpty()
    command = [sys.executable, "-c", SERVICE, str(tmp_path)]
    with subprocess.Popen(command, stderr=terminal) as service, os.fdopen(screen, "rb", buffering=0) as shown:
        os.close(terminal)
        try:
            assert shown.readline().endswith(b" scope INFO ready\r\n")
        finally:
            service.terminate()


def test_a_service_that_fails_after_its_log_was_set_up_still_shows_its_last_words(
    start: Start, tmp_path: Path
) -> None:
    process = start(SERVICE.replace("lifetime.stopping.wait()", "raise RuntimeError('no beam')"), tmp_path)
    with pytest.raises(ServiceUnavailableError, match=r"ended with exit status 1: .*RuntimeError: no beam"):
        process.wait_ready(lambda: False, timeout_s=30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_ends_cleanly_on_either_signal(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    service = start(SERVICE, tmp_path)
    service.wait_ready((tmp_path / "run" / "scope.json").exists, timeout_s=30)
    os.kill(service.pid, number)
    service.wait_finished(timeout_s=30)


def test_a_service_ends_although_the_signal_did_not_interrupt_its_wait(start: Start, tmp_path: Path) -> None:
    # It goes to another thread: the main thread waits on, as it does after a signal just before its wait.
    elsewhere = (
        "import pathlib, signal, sys, threading, time\n"
        "def tell():\n"
        "    while not pathlib.Path(sys.argv[1], 'run', 'scope.json').exists():\n"
        "        time.sleep(0.1)\n"
        "    time.sleep(0.1)\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)\n"
        "    time.sleep(60)\n"
        "threading.Thread(target=tell, daemon=True).start()\n"
    )
    start(elsewhere + SERVICE, tmp_path).wait_finished(timeout_s=20)


def test_a_ready_file_of_a_killed_predecessor_does_not_count(start: Start, tmp_path: Path) -> None:
    ready_file = tmp_path / "run" / "scope.json"
    killed = start(SERVICE, tmp_path)
    killed.wait_ready(ready_file.exists, timeout_s=30)
    os.kill(killed.pid, signal.SIGKILL)
    killed._process.wait()
    assert ready_pid(ready_file) == killed.pid
    following = start(SERVICE, tmp_path)
    following.wait_ready(lambda: ready_pid(ready_file) == following.pid, timeout_s=30)


def test_a_process_that_ends_instead_of_becoming_ready_shows_its_last_words(start: Start) -> None:
    process = start("import sys; print('x' * 10**6); print('line one'); print('no licence'); sys.exit(3)")
    with pytest.raises(ServiceUnavailableError, match=r"ended with exit status 3: .*line one \| no licence"):
        process.wait_ready(lambda: False, timeout_s=30)


def test_what_an_earlier_start_has_said_is_not_this_ones_reason(start: Start) -> None:
    earlier = start("import sys; print('an old reason'); sys.exit(3)")
    with pytest.raises(ServiceUnavailableError, match="an old reason"):
        earlier.wait_finished(timeout_s=30)
    with pytest.raises(ServiceUnavailableError, match=r"exit status 3: no output\.") as caught:
        start("import sys; sys.exit(3)").wait_finished(timeout_s=30)
    assert "old" not in caught.value.what


def test_an_error_of_ours_is_handed_on_as_it_was_meant(start: Start) -> None:
    program = (
        "from eucentric_core import ConfigurationError, clear_errors\n"
        "with clear_errors(): raise ConfigurationError('No such store.', safe='all.', next_step='name one.')"
    )
    process = start(program)
    with pytest.raises(ServiceUnavailableError) as caught:
        process.wait_finished(timeout_s=30)
    assert caught.value.what == "scope ended with exit status 2: No such store."
    assert caught.value.next_step == f"name one. Its log is {process.log}."


def test_a_process_that_never_becomes_ready_is_stopped(start: Start) -> None:
    process = start("import time; time.sleep(600)")
    with pytest.raises(ServiceUnavailableError, match=r"not ready within 0\.2 s") as caught:
        process.wait_ready(lambda: False, timeout_s=0.2)
    assert not process.running
    assert str(process.log) in caught.value.next_step


def test_a_process_that_does_not_listen_is_killed(start: Start) -> None:
    process = start(DEAF)
    process.wait_ready(logged(process, "deaf"), timeout_s=30)
    process.stop(grace_s=0.2)
    assert process._process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("life_s", [600, 0], ids=["parent alive", "parent gone"])
def test_no_descendant_survives(start: Start, life_s: float) -> None:
    process = start(RUNAWAY, life_s)
    process.wait_ready(logged(process, "ready"), timeout_s=30)
    if life_s == 0:
        process.wait_finished(timeout_s=30)
    runaways = [one for one in descendants(process) if one.pid != process.pid]
    assert len(runaways) == 1
    assert runaways[0].ppid() != process.pid
    process.stop()
    assert descendants(process) == []
    assert not runaways[0].is_running()


def test_a_family_includes_those_whom_a_descendant_manages(start: Start, tmp_path: Path) -> None:
    program = f"""
import os, sys, time
from pathlib import Path
from eucentric_core import ManagedProcess
log = Path({str(tmp_path)!r}) / "inner.log"
ManagedProcess("inner", [sys.executable, "-c", "import time; time.sleep(600)"], log=log)
print("ready", flush=True)
os.kill(os.getpid(), 9)
"""
    outer = start(program)
    with pytest.raises(ServiceUnavailableError, match="-9"):
        outer.wait_finished(timeout_s=30)
    assert len(descendants(outer)) == 1
    outer.stop()
    assert descendants(outer) == []


def test_stopping_one_leaves_the_neighbour_alone(start: Start) -> None:
    one, other = start("import time; time.sleep(600)"), start("import time; time.sleep(600)")
    one.stop()
    assert not one.running
    assert other.running


def test_a_missing_program_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailableError, match="scope cannot be started"):
        ManagedProcess("scope", [str(tmp_path / "none")], log=tmp_path / "log")


def test_the_environment_is_handed_down_without_what_makes_starts_slow(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    process = start("import os; print(dict(os.environ))", environment={"EUCENTRIC__EDGE__THREADS": "2"})
    process.wait_finished(timeout_s=30)
    text = process.log.read_text()
    assert "'EUCENTRIC__EDGE__THREADS': '2'" in text
    assert "PYTHONDONTWRITEBYTECODE" not in text
    # The mark in a child's environment is no unknown setting.
    assert load_settings(environment={"EUCENTRIC_FAMILY": "a/b"}).edge.threads == 1


def test_importing_the_ground_floor_is_quick_and_light(start: Start) -> None:
    process = start(
        "import sys; import eucentric_core, eucentric_core.transport, eucentric_core.vocabulary;"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    process.wait_finished(timeout_s=60)
    loaded = process.log.read_text()
    for heavy in ("torch", "prefect", "mlflow", "parsl", "scipy", "h5py", "matplotlib", "pydantic_settings"):
        assert f"'{heavy}'" not in loaded


def test_time_passes_while_waiting(start: Start) -> None:
    process = start("import time; time.sleep(600)")
    deadline = time.monotonic() + 0.3
    process.wait_ready(lambda: time.monotonic() > deadline, timeout_s=30)
    assert process.running
