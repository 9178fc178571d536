"""The kinds of compute that the contract is tried on, with the real thing behind each."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from eucentric_core import GlobusSettings, HpcSettings
from eucentric_hpc import open_executor

from ..servers.slurm import Slurm

__all__ = ["Surroundings", "descendants", "still_running", "surroundings_of", "write_slurm_site"]


def descendants() -> dict[int, str]:
    """Command lines of everything that this process started and that still runs."""
    found = still_running(psutil.Process().children(recursive=True))
    # multiprocessing keeps one tracker per interpreter; it ends with it. And with every batch the client of
    # Globus Compute asks Python's `platform` what machine this is, which runs `file` for a moment.
    asked = f"file -b {os.path.realpath(sys.executable)}"
    return {
        pid: command
        for pid, command in found.items()
        if "resource_tracker" not in command and command != asked
    }


def still_running(processes: Iterable[psutil.Process]) -> dict[int, str]:
    """Command lines of those that have not ended, by their id."""
    found: dict[int, str] = {}
    for process in processes:
        # One may end while it is looked at; one that ended runs no more, waited for or not.
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = " ".join(process.cmdline())
    return found


@dataclass(frozen=True)
class Surroundings:
    """What one kind of compute needs, and what it may leave behind.

    Attributes:
        kind: as the settings name it.
        site: its site file.
        outside: whatever runs for it that is no child of the tests.
        cluster: the batch system, where there is one.
        globus: who we are at Globus, where that matters.
        last_words: what the error for a worker that crashed quotes.
        endless_s: how long a task runs that is to be ended; short where only its own end ends it.
    """

    kind: str
    site: Path | None = None
    outside: Callable[[], dict[Any, str]] = field(default=lambda: {})
    cluster: Slurm | None = None
    globus: GlobusSettings | None = None
    last_words: str = "Segmentation fault"
    endless_s: float = 600.0

    def settings(self, **changes: object) -> HpcSettings:
        """Settings for a small, patient executor of this kind."""
        return HpcSettings.model_validate(
            {
                "executor": self.kind,
                "workers": 2,
                "start_timeout_s": 110,
                "retries": 1,
                "site": self.site and str(self.site),
                **changes,
            }
        )

    def open(self, run_dir: Path, **changes: object) -> AbstractContextManager[Executor]:
        """Open an executor of this kind."""
        return open_executor(self.settings(**changes), run_dir, globus=self.globus)

    def running(self) -> dict[Any, str]:
        """Processes and jobs, here and on the nodes. An endpoint's are its own affair."""
        here = {pid: words for pid, words in descendants().items() if not _of_endpoint(pid)}
        return {**here, **self.outside()}


def _of_endpoint(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        family = [process, *process.parents()]
        return any("globus_compute_endpoint_process" in " ".join(member.cmdline()) for member in family)
    except psutil.Error:
        return False


def write_slurm_site(
    path: Path,
    *,
    walltime: str = "00:10:00",
    worker_init: str = "",
    cache: Path | None = None,
    **more: object,
) -> Path:
    """A site file for the cluster of `tests/servers/slurm.py`, which lies on this machine."""
    repository = Path(__file__).resolve().parents[2]
    settings = {"partition": "batch", "poll_s": 1, "heartbeat_s": 2, **more}
    path.write_text(
        'name = "test-cluster"\n'
        # Workers find the tests' own tasks by name, too.
        f"worker_init = 'export PYTHONPATH={repository}; {worker_init}'\n\n"
        f'[slurm]\nwalltime = "{walltime}"\nsubmit_address = "127.0.0.1"\n'
        + "".join(f"{key} = {value!r}\n" for key, value in settings.items())
        + (f'\n[cache]\nfolder = "{cache}"\nmax_gib = 0.5\n' if cache else "")
    )
    return path


def surroundings_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Surroundings:
    """Start what a kind needs; skips where that is not installed."""
    if kind == "parsl-slurm":
        cluster: Slurm = request.getfixturevalue("slurm")

        def jobs_and_processes() -> dict[Any, str]:
            processes = [process for node in cluster.nodes for process in cluster.processes_of(node)]
            return {**cluster.jobs(), **still_running(processes)}

        return Surroundings(kind, write_slurm_site(folder / "site.toml"), jobs_and_processes, cluster)
    if kind == "globus-compute":
        site, globus = request.getfixturevalue("compute_endpoint")
        return Surroundings(kind, site, globus=globus, last_words="WorkerLost", endless_s=5.0)
    return Surroundings(kind)
