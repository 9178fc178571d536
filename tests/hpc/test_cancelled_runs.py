"""A run of the record that is cancelled leaves nothing in the queue of a real Slurm, dead or alive."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eucentric_core import Settings, load_settings
from eucentric_flows import RunRecord, RunView, runs_path
from eucentric_flows._cli import run_app
from eucentric_flows.policy import Decision

from ..servers.slurm import Slurm
from .compute_kinds import write_slurm_site
from .test_slurm import no_node_free, settings, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CARRY_OUT = """
import sys
from pathlib import Path
from concurrent.futures import wait
from eucentric_core import HpcSettings, load_settings
from eucentric_flows import RunCancelledError, RunRecord, carrying_out, runs_path
from eucentric_hpc import open_executor, waiting_reason
if __name__ == "__main__":
    hub = load_settings(Path(sys.argv[1]), environment={})
    hpc = HpcSettings.model_validate_json(sys.argv[2])
    with RunRecord(runs_path(hub)) as record:
        try:
            with carrying_out(record, "t1") as run, run.stage("train") as say:
                with open_executor(hpc, hub.logs / "hpc" / "t1") as executor:
                    future = executor.submit(abs, -1)
                    while not wait([future], timeout=0.2).done:
                        say(waiting_reason(executor) or "at work")
        except RunCancelledError:
            print("cancelled", flush=True)
"""


@pytest.fixture
def hub(tmp_path: Path) -> tuple[Path, Settings]:
    config = tmp_path / "eucentric.toml"
    config.write_text(f'home = "{tmp_path / "home"}"\n')
    return config, load_settings(config, environment={})


@contextmanager
def queued_run(slurm: Slurm, config: Path, hub: Settings, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A run whose job waits in the queue."""
    hpc = settings(write_slurm_site(folder / "site.toml"))
    with RunRecord(runs_path(hub)) as record:
        record.admit(
            trigger_id="t1",
            kind="retrain",
            policy=None,
            model="atoms",
            triggered_by="manual",
            request={},
            decision=lambda _history, _now: Decision(fire=True, reason="asked for"),
        )
    command = [sys.executable, "-c", CARRY_OUT, str(config), hpc.model_dump_json()]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as process:
        try:
            wait_until(
                lambda: (waiting := view(hub).waiting) and waiting.reason.startswith("queued in Slurm")
            )
            yield process
        finally:
            process.kill()


def view(hub: Settings) -> RunView:
    with RunRecord(runs_path(hub)) as record:
        return record.run("t1")


def pending(slurm: Slurm) -> int:
    return sum(state == "PENDING" for state in slurm.jobs().values())


def test_cancelling_takes_the_job_out_of_the_queue(
    slurm: Slurm, hub: tuple[Path, Settings], tmp_path: Path
) -> None:
    config, site = hub
    with no_node_free(slurm), queued_run(slurm, config, site, tmp_path) as process:
        assert pending(slurm) == 1
        shown = CliRunner().invoke(run_app, ["show", "t1", "--config", str(config), "--json"])
        assert json.loads(shown.stdout)["waiting"].startswith("queued in Slurm: ")
        done = CliRunner().invoke(run_app, ["cancel", "t1", "--config", str(config)])
        assert done.exit_code == 0, done.output
        assert process.wait(60) == 0
        wait_until(lambda: pending(slurm) == 0)
    assert view(site).state == "cancelled"
    picture = CliRunner().invoke(run_app, ["show", "t1", "--config", str(config)]).stdout
    assert "░ queued in Slurm: " in picture


def test_cancelling_a_dead_run_cleans_up_after_it(
    slurm: Slurm, hub: tuple[Path, Settings], tmp_path: Path
) -> None:
    config, site = hub
    with no_node_free(slurm), queued_run(slurm, config, site, tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        with RunRecord(runs_path(site)) as record:
            record.note_dead("t1", 1)
        assert pending(slurm) == 1
        done = CliRunner().invoke(run_app, ["cancel", "t1", "--config", str(config)])
        assert "its process was gone already. Cancelled in the queue: " in done.stdout
        wait_until(lambda: pending(slurm) == 0)
    assert view(site).state == "cancelled"
