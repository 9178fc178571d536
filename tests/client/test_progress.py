"""Progress from far away: the link breaks, the agent is restarted, and the one who looks goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import eucentric
from eucentric.progress import AcquisitionProgress, NotFollowedError, Reading, RunProgress, follow
from eucentric_agents import Agent
from eucentric_core import (
    AgentSettings,
    Role,
    ServiceUnavailableError,
    Settings,
    load_settings,
)
from eucentric_core.transport import find_free_port
from eucentric_flows import RunRecord, RunRecordError, carrying_out, runs_path
from eucentric_flows.policy import Decision

from ..links import Link
from .microscope import Machine, running_machine

FRAMES = 6


class Said:
    """A line that keeps what it was told, and does something at the first words of a kind."""

    def __init__(self, at: str = "", then: Callable[[], None] | None = None) -> None:
        self.lines: list[str] = []
        self.shares: list[float | None] = []
        self._at, self._then = at, then

    def show(self, text: str, share: float | None = None) -> None:
        self.lines.append(text)
        self.shares.append(share)
        if self._then is not None and self._at in text:
            then, self._then = self._then, None
            then()

    def end(self, text: str) -> None:
        self.lines.append(text)


class Told:
    """A source that says what it is given, one reading or failure after the other."""

    name = "told"

    def __init__(self, *readings: Reading | Exception) -> None:
        self._readings = list(readings)
        self.closed = False

    def read(self) -> Reading:
        reading = self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]
        if isinstance(reading, Exception):
            raise reading
        return reading

    def close(self) -> None:
        self.closed = True


def nobody() -> ServiceUnavailableError:
    return ServiceUnavailableError("No service answers.", safe="nothing was sent.", next_step="wait.")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with running_machine(tmp_path_factory.mktemp("machine")) as running:
        yield running


def test_a_broken_link_is_said_and_is_no_end() -> None:
    source = Told(Reading("1 of 2", False, 1, 2), nobody(), nobody(), Reading("2 of 2", True, 2, 2))
    said = Said()
    assert follow(source, every_s=0.01, line=said).done == 2
    assert said.lines[0] == "told: 1 of 2"
    assert said.lines[1].startswith("told: 1 of 2; no answer for 0 s")
    assert said.lines[-1] == "told: 2 of 2"
    assert said.shares == [0.5, 0.5, 0.5]
    assert source.closed


def test_patience_ends_with_what_was_heard_last() -> None:
    source = Told(Reading("3 frames", False), nobody())
    with pytest.raises(NotFollowedError, match="Last heard: 3 frames") as ended:
        follow(source, every_s=0.01, patience_s=0.05, line=Said())
    assert "may go on" in ended.value.safe
    assert source.closed


def test_an_acquisition_is_followed_through_a_cut_link(machine: Machine) -> None:
    with (
        eucentric.connect("titan", config=machine.config, client="ada") as ada,
        Link(machine.settings.agent.control_port) as link,
        ada.control(reason="series"),
    ):
        ada.start_session("followed")
        ada.unblank(max_duration_s=120)
        progress = AcquisitionProgress(
            lambda: eucentric.connect("127.0.0.1", link.port, client="bob", config=machine.config),
            session="followed",
            frames=FRAMES,
        )
        said = Said("0 of 6 frames", link.cut)

        def go_on() -> None:
            link.mend()
            # Only now is anything measured: what happened while nobody could look is not lost.
            ada.stream(eucentric.ScanStream(height_px=32, width_px=32, max_frames=FRAMES))

        mended = Said("no answer", go_on)

        class Both:
            def show(self, text: str, share: float | None = None) -> None:
                said.show(text, share)
                mended.show(text, share)

            def end(self, text: str) -> None:
                said.end(text)

        last = follow(progress, every_s=0.05, line=Both())
        ada.blank()
        ada.stop_session()
    assert last.over
    assert (last.done, last.total) == (FRAMES, FRAMES)
    assert any("no answer" in line for line in said.lines)


def test_an_acquisition_is_followed_through_a_restart_of_the_agent(tmp_path: Path) -> None:
    agent = AgentSettings(
        name="scope",
        control_port=find_free_port(),
        data_port=find_free_port(),
        min_free_bytes=0,
        loopback_role=Role.SCIENTIST,
        driver={"seed": 1, "specimen": {"extent_m": 2e-8}},
    )
    settings = Settings(home=tmp_path / "home", agent=agent)
    running = Agent(settings)
    running.__enter__()
    try:
        with (
            eucentric.connect("127.0.0.1", agent.control_port, client="ada") as ada,
            ada.control(reason="go"),
        ):
            ada.start_session("before")

        def restart() -> None:
            nonlocal running
            running.__exit__(None, None, None)
            running = Agent(settings)
            running.__enter__()

        progress = AcquisitionProgress(
            lambda: eucentric.connect("127.0.0.1", agent.control_port, client="bob", timeout_s=2.0),
            session="before",
            frames=100,
        )
        last = follow(progress, every_s=0.05, line=Said("0 of 100", restart))
    finally:
        running.__exit__(None, None, None)
    assert last.over
    assert "the session has ended" in last.said


def test_a_run_is_followed_in_the_hubs_record(tmp_path: Path) -> None:
    config = tmp_path / "hub.toml"
    config.write_text(f'home = "{tmp_path / "home"}"\n')
    with RunRecord(runs_path(load_settings(config))) as record:
        with pytest.raises(RunRecordError):
            follow(RunProgress("5f3a", config=config), line=Said())
        ordered = RunProgress("5f3a-by-hand", config=config, begins_within_s=60)
        assert (ordered.read().over, ordered.read().said.partition(",")[0]) == (False, "ordered")
        record.admit(
            trigger_id="5f3a-by-hand",
            kind="retrain",
            policy=None,
            model="atoms",
            triggered_by="manual",
            request={},
            decision=lambda history, now: Decision(fire=True, reason="asked for"),
        )
        with carrying_out(record, "5f3a-by-hand") as run:
            with run.stage("gather"):
                pass
            with run.stage("train"):
                under_way = RunProgress("5f3a", config=config).read()
            run.end("promoted", "better", version=3)
    assert (under_way.over, under_way.done, under_way.said) == (False, 1, "running: train")
    last = follow(RunProgress("5f3a", config=config), line=Said())
    assert (last.over, last.done, last.said) == (True, 2, "promoted, version 3")
    assert ordered.read() == last
