"""The page about policies is executed: what a reader copies works at once, on a real Prefect server."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import zmq
from typer.testing import CliRunner

from eucentric_core import ManagedProcess, Settings, load_settings, utc_now
from eucentric_core.transport import StreamPublisher, find_free_port
from eucentric_flows import RunRecord, runs_path
from eucentric_flows._cli import policy_app
from eucentric_flows.engine import History, Journal, PolicyStore, policies_file
from eucentric_flows.policy import explain, parse_policy

from ..data_channel import data_channel
from .conftest import drift_event

PAGE = Path(__file__).parents[2] / "docs" / "policies.md"
PATIENCE_S = 90.0
STORM = 300


def blocks() -> list[str]:
    """The TOML of the page, in its order; the first is the tutorial's."""
    return re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(len(blocks())))
def test_every_policy_of_the_page_can_be_used(number: int) -> None:
    text = blocks()[number]
    if "[trigger]" not in text:
        text = f'{text}\n[trigger]\nkind = "manual"\n'
    if "name =" not in text:
        text = f'schema_version = 2\nname = "a"\nmodel = "atoms"\n{text}'
    if "max_node_hours" in text:
        text += '[action]\nkind = "retrain"\nnodes = 4\n'
    assert explain(parse_policy(text, "page")).startswith("When")


def test_the_tutorials_policy_has_ten_lines_and_says_what_the_page_says() -> None:
    text = blocks()[0]
    assert len(text.strip().splitlines()) == 10
    quoted = re.search(r"(?:^> .*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert quoted is not None
    said = " ".join(line.removeprefix("> ") for line in quoted.group().splitlines())
    assert said == explain(parse_policy(text, "page"))


@pytest.fixture(scope="module")
def machine(site: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A hub of its own that shares the tests' Prefect server, with its settings in a file."""
    home = tmp_path_factory.mktemp("tutorial")
    ports = {name: {"data_port": find_free_port()} for name in ("agent", "edge", "repository")}
    hub = {"prefect_api_url": site.hub.prefect_api_url, "mlflow_url": site.hub.mlflow_url}
    lines = [
        f'home = "{home}"',
        *(f"[{name}]\ndata_port = {port['data_port']}" for name, port in ports.items()),
    ]
    lines += ["[hub]", *(f'{name} = "{value}"' for name, value in hub.items())]
    (home / "eucentric.toml").write_text("\n".join(lines))
    (home / "policies").mkdir()
    return load_settings(flags={"home": str(home), "hub": hub, **ports}, environment={})


@pytest.fixture(scope="module")
def edge(machine: Settings) -> Iterator[StreamPublisher]:
    """The data channel of an edge."""
    place = machine.edge
    with (
        zmq.Context() as context,
        data_channel(context, place.data_port, "edge", host=place.host) as publisher,
    ):
        yield publisher


@pytest.fixture(scope="module")
def service(machine: Settings, prefect: str, edge: StreamPublisher) -> Iterator[ManagedProcess]:
    config = str(machine.home / "eucentric.toml")
    command = [sys.executable, "-m", "eucentric_flows", "serve", "--config", config]
    process = ManagedProcess("flows", command, log=machine.logs / "flows.log")
    try:
        process.wait_ready((machine.home / "run" / "flows.json").exists, timeout_s=300)
        yield process
    finally:
        process.stop()


def say(machine: Settings, *arguments: str) -> str:
    """What a command of the page prints."""
    config = ["--config", str(machine.home / "eucentric.toml")] if arguments[0] != "check" else []
    outcome = CliRunner().invoke(policy_app, [*arguments, *config], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def wait_for(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
    return found


def heard(machine: Settings) -> int:
    now = utc_now()
    with PolicyStore(policies_file(machine)) as store:
        return sum(1 for _ in Journal(store).between(now - timedelta(days=1), now))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tutorial_works_the_first_time(
    machine: Settings, service: ManagedProcess, edge: StreamPublisher, tmp_path: Path
) -> None:
    path = tmp_path / "retrain-on-drift.toml"
    path.write_text(blocks()[0])
    # What happened before the policy is there, to be back-tested on.
    earlier = drift_event(drift_score=2.0)

    def arrived() -> bool:
        edge.publish_event(earlier)
        time.sleep(0.3)
        return heard(machine) > 0

    wait_for(arrived)

    assert say(machine, "check", str(path)) == f"{path}: policy retrain-on-drift is valid.\n"
    assert say(machine, "explain", str(path)).startswith("When the edge reports drift of model atoms")
    would = json.loads(say(machine, "backtest", str(path), "--json"))
    assert (would["counts"], would["events"]) == ({"fired": 1}, 1)
    assert "would have fired 1 time(s)" in re.sub(r"\s+", " ", say(machine, "backtest", str(path)))
    assert say(machine, "enable", str(path)) == "Policy retrain-on-drift is on.\n"

    # The service takes it into use without a restart: until it has, an event concerns nobody.
    def run_of_a_policy() -> Any:
        edge.publish_event(drift_event(drift_score=2.0))
        time.sleep(0.5)
        with RunRecord(runs_path(machine)) as record:
            ended = [run for run in record.runs() if run.ended_utc is not None]
        return ended[0] if ended else None

    run = wait_for(run_of_a_policy)
    assert (run.policy, run.triggered_by) == ("retrain-on-drift", "policy")
    told = json.loads(say(machine, "history", "retrain-on-drift", "--json"))
    fired = [decision for decision in told if decision["status"] == "fired"]
    assert [decision["trigger_id"] for decision in fired] == [run.trigger_id]
    assert fired[0]["reason"] == "drift score 2 is at least 1.5"
    assert "fired" in say(machine, "history", "--event", run.trigger_id)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_storm_through_the_service_begins_nothing_more(
    machine: Settings, service: ManagedProcess, edge: StreamPublisher
) -> None:
    now = utc_now()
    storm = [
        drift_event(
            id=f"storm-{number}",
            drift_score=3.0 if number % 2 else 1.0,
            occurred_utc=now - timedelta(days=2 if number % 10 == 1 else 0),
        )
        for number in range(STORM)
    ]
    for number, event in enumerate(storm):
        edge.publish_event(event)
        if number % 5 == 0:
            edge.publish_event(storm[number // 2])

    def all_decided() -> bool:
        with PolicyStore(policies_file(machine)) as store:
            decided = History(store).newest(limit=10_000)
        found = [decision for decision in decided if decision.occurrence.startswith("storm-")]
        return len(found) == len({decision.occurrence for decision in found}) == STORM

    wait_for(all_decided)
    with PolicyStore(policies_file(machine)) as store:
        history = History(store)
        counted = {
            status: len(history.newest(statuses=(status,), limit=10_000))
            for status in ("not_met", "held", "fired")
        }
        late = [each for each in history.newest(limit=10_000) if "occurred" in each.reason]
    assert counted["fired"] == 1
    assert counted["not_met"] >= STORM // 2
    assert len(late) == STORM // 10
    with RunRecord(runs_path(machine)) as record:
        assert len([run for run in record.runs(limit=1000) if run.policy == "retrain-on-drift"]) == 1
