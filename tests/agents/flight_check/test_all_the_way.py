"""`eucentric agent flight-check` with a real agent and a real repository, and without one."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eucentric_agents._cli import app
from eucentric_agents.data._flight import look_into
from eucentric_agents.flight_check import FlightCheck, Journey
from eucentric_agents.recording import Ledger
from eucentric_core import Event, FlightCheckFailed, FlightCheckPassed, Frame, ManagedProcess
from eucentric_core.transport import find_free_port
from eucentric_data_repository import Catalogue

pytestmark = pytest.mark.timeout(180)


class Site:
    """An agent and a repository on this machine, each in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "repository"
        self.root.mkdir()
        ports = [find_free_port() for _ in range(4)]
        self.config = folder / "eucentric.toml"
        self.config.write_text(
            f"home = '{folder / 'home'}'\n"
            f"[agent]\nname = 'scope'\nship_to = '{self.root}'\nmin_free_bytes = 0\n"
            f"control_port = {ports[0]}\ndata_port = {ports[1]}\nflight_check_deadline_s = 10\n"
            f"[repository]\nroot = '{self.root}'\ncontrol_port = {ports[2]}\ndata_port = {ports[3]}\n"
        )

    @contextmanager
    def running(self, module: str, verb: str, ready: str) -> Iterator[ManagedProcess]:
        command = [sys.executable, "-m", module, verb, "--config", str(self.config)]
        home = self.folder / "home"
        process = ManagedProcess(module, command, log=home / f"{module}.out")
        try:
            process.wait_ready((home / "run" / f"{ready}.json").exists, timeout_s=60)
            yield process
        finally:
            process.stop()

    def check(self, *words: str, ends_with: int) -> dict[str, Any]:
        result = CliRunner().invoke(app, ["flight-check", *words, "--json", "--config", str(self.config)])
        assert result.exit_code == ends_with, result.output
        report: dict[str, Any] = json.loads(result.stdout)
        return report


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    with ExitStack() as started:
        started.enter_context(site.running("eucentric_agents", "run", "agent"))
        yield site


@pytest.mark.slow
def test_it_passes_with_a_repository_and_says_where_it_sticks_without_one(site: Site) -> None:
    with site.running("eucentric_data_repository", "serve", "repository") as repository:
        passed = site.check(ends_with=0)
        assert (passed["passed"], passed["reached"], passed["error"]) == (True, "free", None)
        assert list(passed["passed_s"]) == ["publish", "record", "seal", "ship", "register", "free"]
        with Catalogue(site.root / "catalogue.sqlite") as catalogue:
            (dataset,) = catalogue.datasets()
        assert (dataset.dataset_id, dataset.state, dataset.frames) == (passed["dataset_id"], "complete", 8)
        assert dataset.simulated

        # A repository that stands still looks alive from outside: only what comes back tells.
        os.kill(repository.pid, signal.SIGSTOP)
        try:
            stuck = site.check(ends_with=1)
        finally:
            os.kill(repository.pid, signal.SIGCONT)
        assert (stuck["passed"], stuck["reached"]) == (False, "ship")
        assert "repository" in stuck["error"]["what"]
        assert "repository" in stuck["error"]["next_step"]
        assert site.check("--last", ends_with=1) == stuck
        assert site.check(ends_with=0)["passed"]


def test_a_frame_that_is_missing_fails_it() -> None:
    sent: list[Frame] = []
    told: list[Event] = []
    check = FlightCheck(
        "scope",
        publish=sent.append,
        publish_event=told.append,
        look=lambda _instrument, _session: Journey(
            known=True, closed=True, frames=len(sent) - 1, missing=1, states=("done", "done")
        ),
        goal="free",
        deadline_s=10,
    )
    report = check.run(threading.Event())
    assert not report.passed
    assert report.error is not None
    assert report.error.code == "integrity"
    assert isinstance(told[-1], FlightCheckFailed)
    assert not any(isinstance(event, FlightCheckPassed) for event in told)


def test_the_journal_of_nothing_knows_no_session(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "journal.sqlite")
    try:
        assert look_into(ledger, "scope-flight-check", "s1") == Journey()
        row = ledger.open_session("scope-flight-check", "s1", sample=None, material=None)
        assert look_into(ledger, "scope-flight-check", "s1") == Journey(known=True)
        ledger.close_session(row, ())
        assert look_into(ledger, "scope-flight-check", "s1").states == ("pending",)
    finally:
        ledger.close()
