"""`eucentric agent shipping` and `retry-stuck`, through the running agent and without one."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eucentric_agents._cli import app
from eucentric_agents.recording import open_journal
from eucentric_core import ErrorReport, Frame, ManagedProcess, load_settings
from eucentric_core.transport import find_free_port

from ..servers.http_relay import Relay
from .rig import wait_until

MakeFrame = Callable[..., Frame]
WHY = ErrorReport(
    code="transfer_failed", what="500 Internal Error.", safe="kept.", next_step="mend the store."
)


@dataclass
class ControlPc:
    """Settings of an agent that ships to a store, and two shards it has recorded, one of them stuck."""

    config: Path
    stuck: str
    bucket: str

    def run(self, *words: str, ends_with: int = 0) -> str:
        result = CliRunner().invoke(app, [*words, *self.at])
        assert result.exit_code == ends_with, result.output
        return result.output

    @property
    def at(self) -> list[str]:
        return ["--config", str(self.config)]

    def shipping(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.run("shipping", "--json"))
        return report

    @contextmanager
    def agent(self) -> Iterator[ManagedProcess]:
        """The agent itself."""
        home = self.config.parent / "home"
        command = [sys.executable, "-m", "eucentric_agents", "run", "--config", str(self.config)]
        process = ManagedProcess("agent", command, log=home / "agent.out")
        try:
            process.wait_ready((home / "run" / "agent.json").exists, timeout_s=60)
            yield process
        finally:
            process.stop()


@pytest.fixture
def control_pc(
    tmp_path: Path, make_frame: MakeFrame, s3_relay: Relay, bucket: str, s3_credentials: Path
) -> ControlPc:
    config = tmp_path / "eucentric.toml"
    config.write_text(
        f"home = '{tmp_path / 'home'}'\n"
        f"[agent]\nship_to = 's3://{bucket}/titan'\nframes_per_shard = 2\nmin_free_bytes = 0\n"
        f"control_port = {find_free_port()}\ndata_port = {find_free_port()}\n"
        f"[s3]\nendpoint = '{s3_relay.url}'\ncredentials = '{s3_credentials}'\nattempts = 1\n"
    )
    with closing(open_journal(load_settings(config))) as journal:
        for sequence in range(4):
            journal.append(make_frame(sequence))
        journal.stop_session("twin", "s1", frames=4)
        name = journal.ledger.outbox("pending")[0].name
        journal.ledger.note_failure(name, WHY)
    return ControlPc(config, name, bucket)


def test_without_a_running_agent_its_outbox_is_read_and_mended(control_pc: ControlPc) -> None:
    report = control_pc.shipping()
    assert (report["shipper"]["pending_shards"], report["shipper"]["stuck"]) == (1, 1)
    assert report["stuck"][0]["error"]["what"] == WHY.what
    shown = control_pc.run("shipping")
    assert "stuck" in shown
    assert "mend the store" in " ".join(shown.split())
    assert "is not stuck" in control_pc.run("retry-stuck", "another", ends_with=2)
    assert control_pc.stuck in control_pc.run("retry-stuck", control_pc.stuck)
    assert control_pc.shipping()["shipper"]["pending_shards"] == 2
    assert control_pc.run("retry-stuck", "--all").strip() == "Nothing is stuck."


def test_an_agent_that_was_killed_is_not_asked(control_pc: ControlPc) -> None:
    home = control_pc.config.parent / "home"
    with control_pc.agent() as agent:
        control_pc.run("retry-stuck", "nothing", ends_with=2)
        os.kill(agent.pid, signal.SIGKILL)
        # Its data process ends by itself, and lets go of the outbox.
        wait_until(lambda: not (home / "run" / "agent-data.json").exists(), within_s=30)
    assert (home / "run" / "agent-console.json").exists()
    wait_until(lambda: CliRunner().invoke(app, ["shipping", *control_pc.at]).exit_code == 0, within_s=30)
    assert "The agent is not running" in control_pc.run("shipping")
    assert control_pc.shipping()["agent_runs"] is False
    result = CliRunner().invoke(app, ["flight-check", *control_pc.at])
    assert (result.exit_code, "is not running" in result.output) == (2, True)


def test_what_must_be_typed_is_not_cut_and_the_damaged_file_is_named(control_pc: ControlPc) -> None:
    shards = control_pc.config.parent / "home" / "agent" / "recording" / "shards"
    shown = control_pc.run("shipping").splitlines()
    assert f"stuck after 1 failures: {control_pc.stuck}" in shown
    assert f"  file  {shards / control_pc.stuck}" in shown


def test_where_nothing_is_shipped_nothing_is_said_to_be(control_pc: ControlPc) -> None:
    text = control_pc.config.read_text()
    control_pc.config.write_text("\n".join(line for line in text.splitlines() if "ship_to" not in line))
    assert control_pc.run("shipping").splitlines() == [
        "The agent is not running: this is what its outbox says.",
        "Recordings stay on this machine (2 shards): agent.ship_to is not set.",
    ]


def test_one_says_which_shard_or_all(control_pc: ControlPc) -> None:
    control_pc.run("retry-stuck", ends_with=2)
    control_pc.run("retry-stuck", "one", "--all", ends_with=2)


def test_where_nothing_was_recorded_nothing_is_made(tmp_path: Path) -> None:
    config = tmp_path / "eucentric.toml"
    config.write_text(f"home = '{tmp_path / 'home'}'\n")
    result = CliRunner().invoke(app, ["shipping", "--config", str(config)])
    assert result.exit_code == 2
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_the_running_agent_ships_to_the_store_and_takes_up_what_was_stuck(
    control_pc: ControlPc, s3_relay: Relay, s3_client: Any
) -> None:
    def delivered() -> set[str]:
        found = s3_client.list_objects_v2(Bucket=control_pc.bucket).get("Contents", ())
        return {entry["Key"].removeprefix("titan/incoming/") for entry in found}

    s3_relay.gone = True
    with control_pc.agent():
        wait_until(lambda: control_pc.shipping()["shipper"]["state"] == "retrying", within_s=30)
        report = control_pc.shipping()
        assert report["shipper"]["error"]["code"] == "transfer_failed"
        assert "nothing arrives since" in control_pc.run("shipping")
        s3_relay.well()
        wait_until(lambda: control_pc.shipping()["shipper"]["awaiting_receipt"] == 1, within_s=40)
        assert control_pc.stuck not in delivered()
        assert control_pc.stuck in control_pc.run("retry-stuck", "--all")
        wait_until(lambda: control_pc.shipping()["shipper"]["awaiting_receipt"] == 2, within_s=40)
        assert {control_pc.stuck, f"{control_pc.stuck}.json", "twin.s1.dataset.json"} <= delivered()
        assert control_pc.shipping()["stuck"] == []
