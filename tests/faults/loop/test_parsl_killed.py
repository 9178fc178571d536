"""kill -9 of Parsl's manager and interchange while a run uses them: the training goes on with new ones.

Only with `--nightly`: Parsl takes a dead manager for dead after 12 s.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
import pytest

from ...loop_site import LoopSite, loop_site
from .scene import assert_ended_well, at_stage, processes_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# The interchange is called by its file at first, and by a title that it gives itself once it is ready.
COMMANDS = {"manager": "process_worker_pool", "interchange": "interchange"}
STAGES = ("gather", "train", "judge")


@pytest.fixture(scope="module")
def site(nightly: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopSite]:
    with loop_site(tmp_path_factory.mktemp("parsl"), executor="parsl-local") as opened:
        yield opened


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("victim", sorted(COMMANDS))
def test_a_killed_part_of_parsl_costs_no_model_and_leaves_no_run_running(
    site: LoopSite, victim: str, stage: str
) -> None:
    trigger_id = at_stage(site, stage)
    parts_of_parsl(site, trigger_id, COMMANDS[victim])[0].kill()
    run = assert_ended_well(site, trigger_id)
    assert run.state in ("promoted", "rejected"), run.reason


def parts_of_parsl(site: LoopSite, trigger_id: str, command: str) -> list[psutil.Process]:
    """Processes of a run's Parsl with this in their command line, once there are any."""
    folder = str(site.settings.logs / "hpc" / trigger_id)
    deadline = time.monotonic() + 120
    while True:
        found = [
            process
            for process in psutil.process_iter(["cmdline", "cwd"])
            if any(command in word for word in process.info["cmdline"] or ())
            and is_of(process, folder, processes_of(site, trigger_id))
        ]
        if found:
            return found
        assert time.monotonic() < deadline, f"no {command} came up"
        time.sleep(0.1)


def is_of(process: psutil.Process, folder: str, runs: list[psutil.Process]) -> bool:
    """Whether a process belongs to the run: it names its folder, or is a descendant of its process."""
    if any(folder in word for word in process.info["cmdline"]):
        return True
    return any(parent in runs for parent in process.parents())
