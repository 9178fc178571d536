"""What every test of the house may count on: quiet third parties, one thread, nothing left running.

Rooms keep their own fixtures in `tests/<room>/conftest.py`. A fixture that starts a server binds a free port,
waits until the server answers and stops it; the last check below names whatever is still there.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import psutil
import pytest

from eucentric_core import Frame

from .frames import build_frame
from .servers.globus_service import globus_emulator  # noqa: F401 - fixtures
from .servers.made_databases import KEPT_IN
from .servers.s3_store import bucket, s3_client, s3_credentials, s3_relay, swift  # noqa: F401 - fixtures
from .servers.systemd_machine import systemd_machine  # noqa: F401 - a fixture

REPOSITORY = Path(__file__).resolve().parents[1]
"""The folder that holds `pyproject.toml`."""

# A busy machine is no fault of the code: no deadline. No database: no run depends on the last.
hypothesis.settings.register_profile(
    "house", deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")

_RUN_ID = uuid.uuid4().hex
_STOP_GRACE_S = 30.0

# Set before a test module imports the packages that read them; inherited by every process a test starts.
_ENVIRONMENT = {
    "EUCENTRIC_TEST_RUN": _RUN_ID,
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MPLBACKEND": "agg",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--nightly`: faults are injected hundreds of times instead of dozens."""
    parser.addoption("--nightly", action="store_true", help="inject many more faults; takes hours")


def pytest_configure(config: pytest.Config) -> None:
    """Give the run an environment and a Prefect home of its own."""
    os.environ.update(_ENVIRONMENT)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    home = tempfile.mkdtemp(prefix="eucentric-tests-")
    os.environ["PREFECT_HOME"] = home
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    # One folder for all processes of a run: those that it is divided among find it in their environment.
    if KEPT_IN not in os.environ:
        os.environ[KEPT_IN] = tempfile.mkdtemp(prefix="eucentric-databases-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(KEPT_IN), ignore_errors=True))


@pytest.fixture(scope="session")
def nightly(request: pytest.FixtureRequest) -> None:
    """Skips what takes minutes and shows more of what other tests show, unless `--nightly` is said."""
    if not request.config.getoption("--nightly"):
        pytest.skip("takes minutes: pytest --nightly")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds `pyproject.toml`."""
    return REPOSITORY


@pytest.fixture
def make_frame() -> Callable[..., Frame]:
    """Builds a simulated frame whose array depends on stream and sequence alone; see `frames.build_frame`."""
    return build_frame


def pytest_collection_finish() -> None:
    """Let the collector pass over all that was imported to collect the tests: it stays to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def nothing_left_open() -> Iterator[None]:
    """Let what a module left open fail that module, not whichever runs when it is collected."""
    yield
    gc.collect()


@pytest.fixture(scope="session", autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Fail the run when a process that a test started, or one of its descendants, outlives the last test."""
    yield
    deadline = time.monotonic() + _STOP_GRACE_S
    left = _processes_of_this_run()
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = _processes_of_this_run()
    names = [f"{process.pid}: {' '.join(_command_line(process))[:160]}" for process in left]
    for process in left:
        process.kill()
    if names:
        pytest.fail("still running after the last test (now killed):\n" + "\n".join(names))


def _processes_of_this_run() -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _belongs_to_this_run(process)]


def _belongs_to_this_run(process: psutil.Process) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        if process.status() == psutil.STATUS_ZOMBIE or process.environ().get("EUCENTRIC_TEST_RUN") != _RUN_ID:
            return False
    except psutil.Error:
        return False
    # multiprocessing keeps one tracker per interpreter; it ends with this process.
    return not any("multiprocessing.resource_tracker" in word for word in _command_line(process))


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
