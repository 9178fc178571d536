"""What only a batch system can do to us, on a real Slurm: refuse, keep us waiting, start nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from eucentric_core import ConfigurationError, HpcSettings, ServiceUnavailableError
from eucentric_hpc import open_executor, waiting_reason
from eucentric_hpc.executors._squeue import SlurmJob, waiting_sentence

from ..servers.slurm import Slurm
from .compute_kinds import write_slurm_site

pytestmark = pytest.mark.timeout(300)

QUEUE_AND_WAIT = """
import sys, time
from pathlib import Path
from eucentric_core import HpcSettings
from eucentric_hpc import open_executor
if __name__ == "__main__":
    with open_executor(HpcSettings.model_validate_json(sys.argv[1]), Path(sys.argv[2])) as executor:
        print("queued", flush=True)
        time.sleep(600)
"""


def settings(site: Path) -> HpcSettings:
    return HpcSettings(executor="parsl-slurm", workers=1, site=str(site), start_timeout_s=110)


@contextmanager
def no_node_free(slurm: Slurm) -> Iterator[None]:
    """Somebody else has the whole cluster."""
    said = slurm.command(
        *("sbatch", "--parsable", f"--nodes={len(slurm.nodes)}", "--exclusive", "--output=/dev/null"),
        "--wrap=exec sleep 600",
    )
    try:
        wait_until(lambda: slurm.jobs().get(said) == "RUNNING")
        yield
    finally:
        slurm.command("scancel", "--signal=KILL", "--full", said)
        wait_until(lambda: said not in slurm.jobs())


def wait_until(condition: Callable[[], Any], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_refused_job_is_told_in_slurms_words(slurm: Slurm, tmp_path: Path) -> None:
    site = write_slurm_site(tmp_path / "site.toml", partition="nowhere")
    with (
        pytest.raises(ConfigurationError, match="invalid partition") as caught,
        open_executor(settings(site), tmp_path / "run"),
    ):
        pytest.fail("the block must not be entered")
    assert "[slurm]" in caught.value.next_step


def test_why_a_job_waits_is_told_and_closing_takes_it_out_of_the_queue(slurm: Slurm, tmp_path: Path) -> None:
    site = write_slurm_site(tmp_path / "site.toml")
    said: list[str] = []

    def give_up() -> None:
        with open_executor(settings(site), tmp_path / "run") as executor:
            executor.submit(abs, -1)

            def queued() -> bool:
                said.append(waiting_reason(executor) or "")
                return said[-1].startswith("queued in Slurm: Resources (waits for nodes), ")

            wait_until(queued)
            raise KeyboardInterrupt

    with no_node_free(slurm):
        with pytest.raises(KeyboardInterrupt):
            give_up()
        assert list(slurm.jobs().values()) == ["RUNNING"]


def test_a_job_that_waits_too_long_is_given_up(slurm: Slurm, tmp_path: Path) -> None:
    site = write_slurm_site(tmp_path / "site.toml", queue_timeout_s=2)
    with no_node_free(slurm):
        with open_executor(settings(site), tmp_path / "run") as executor:
            error = executor.submit(abs, -1).exception(timeout=200)
        assert isinstance(error, ServiceUnavailableError)
        assert "queue_timeout_s of 2 s" in error.what
        assert list(slurm.jobs().values()) == ["RUNNING"]


def test_a_node_that_cannot_start_workers_says_why(slurm: Slurm, tmp_path: Path) -> None:
    site = write_slurm_site(
        tmp_path / "site.toml", worker_init='echo "Lmod has detected: unknown module cuda/99" >&2; exit 3'
    )
    with open_executor(settings(site), tmp_path / "run") as executor:
        error = executor.submit(abs, -1).exception(timeout=200)
    assert isinstance(error, ServiceUnavailableError)
    assert "unknown module cuda/99" in error.next_step
    assert slurm.jobs() == {}


def test_a_job_that_a_killed_owner_left_in_the_queue_is_cancelled_by_the_next(
    slurm: Slurm, tmp_path: Path
) -> None:
    site = write_slurm_site(tmp_path / "site.toml")
    script = tmp_path / "owner.py"
    script.write_text(QUEUE_AND_WAIT)
    words = [settings(site).model_dump_json(), str(tmp_path / "run")]
    with no_node_free(slurm):
        before = set(slurm.jobs())
        with subprocess.Popen(
            [sys.executable, str(script), *words], stdout=subprocess.PIPE, text=True
        ) as owner:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "queued\n"
            owner.send_signal(signal.SIGKILL)
        (left,) = set(slurm.jobs()) - before
        with open_executor(settings(site), tmp_path / "run"):
            wait_until(lambda: left not in slurm.jobs())


def test_a_job_of_several_nodes_has_workers_on_each_and_their_cache(slurm: Slurm, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    site = write_slurm_site(tmp_path / "site.toml", nodes=2, workers_per_node=1, cache=cache)
    with open_executor(settings(site), tmp_path / "run") as executor:
        nodes: set[str] = set()

        def all_seen() -> bool:
            asked = [executor.submit(os.getenv, "SLURMD_NODENAME") for _ in range(8)]
            nodes.update(str(future.result(timeout=200)) for future in asked)
            return nodes == set(slurm.nodes)

        wait_until(all_seen)
        assert executor.submit(os.getenv, "EUCENTRIC_NODE_CACHE").result(timeout=100) == str(cache)
    assert slurm.jobs() == {}


@pytest.mark.parametrize(
    ("jobs", "waited_s", "sentence"),
    [
        ([("PENDING", "Priority")], 240, "queued in Slurm: Priority (others come first), 4 min"),
        ([("PENDING", "SomethingNew")], 20, "queued in Slurm: SomethingNew, 20 s"),
        ([("PENDING", "Priority"), ("RUNNING", "None")], 240, None),
        ([("COMPLETED", "None")], 5, "no job in Slurm's queue; the next one is on its way"),
    ],
)
def test_waiting_in_words(jobs: list[tuple[str, str]], waited_s: float, sentence: str | None) -> None:
    listed = [SlurmJob(str(number), state, reason, "x") for number, (state, reason) in enumerate(jobs)]
    assert waiting_sentence(listed, waited_s) == sentence
