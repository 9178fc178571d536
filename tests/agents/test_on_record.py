"""What gets onto the record whatever callers do: how commands ended, who asked in vain, and who it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from eucentric_agents import verify_audit
from eucentric_agents.control import Identity, control_methods
from eucentric_agents.interlocks import Interlocks, Limits
from eucentric_core import Caller, CommandRefusedError, EucentricError, NotAuthorisedError, Role
from eucentric_core.transport import Methods
from eucentric_core.vocabulary import BeamBlank, Command, CommandResult, SessionStart, StageMove

from .steering_bench import Bench, Rig, envelope, someone

ADA, EVE = someone("ada"), someone("eve", Role.VIEWER)
MOVE = StageMove(x_m=1e-6)


class Clock:
    """Monotonic seconds that a test turns by hand."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Refusing(Bench):
    """A stage that does not move."""

    def execute(self, command: Command) -> CommandResult:
        if isinstance(command, StageMove):
            raise CommandRefusedError("Locked.", safe="nothing moved.", next_step="unlock it.")
        return super().execute(command)


def table(rig: Rig, caller: Caller) -> Methods:
    """The methods of a caller's connection."""
    return control_methods(rig.dispatcher, rig.bench.capabilities, lambda: "ready")(caller)


def refused_moves(rig: Rig, caller: Caller, times: int) -> None:
    for _ in range(times):
        with pytest.raises(NotAuthorisedError):
            rig.ask(caller, MOVE, 1)


def test_nobody_else_keeps_off_the_record_what_was_refused_or_how_it_ended(tmp_path: Path) -> None:
    mallory = someone("mallory", Role.VIEWER)
    with Rig(tmp_path, bench=Refusing(), clock=Clock()) as rig:
        epoch = rig.lease(ADA)
        refused_moves(rig, EVE, 150)
        for _ in range(130):
            with pytest.raises(CommandRefusedError):
                rig.ask(ADA, MOVE, epoch)
        refused_moves(rig, mallory, 1)
        told = rig.told()
    assert told.count(("eve", "stage.move", "refused")) == 120
    assert told.count(("ada", "stage.move", "refused")) == 130
    assert told[-1] == ("mallory", "stage.move", "refused")


def test_who_stops_all_day_long_does_not_fill_the_disk(tmp_path: Path) -> None:
    clock = Clock()
    with Rig(tmp_path, clock=clock) as rig:
        for _ in range(200):
            rig.dispatcher.safe_stop(Identity(EVE, "eve"))
            rig.ask(EVE, BeamBlank())
        assert rig.bench.made_safe == 200
        assert len(rig.bench.received) == 200
        assert len(rig.records()) == 120
        rig.dispatcher.safe_stop(Identity(ADA, "ada"))
        assert rig.told()[-1] == ("ada", "safe_stop", "done")
        clock.now_s += 61
        rig.dispatcher.safe_stop(Identity(EVE, "eve"))
        assert rig.records()[-1].details["stops_not_kept"] == 280
        on_record = len(rig.records())
        rig.bench.broken = ValueError("0x80004005")
        for _ in range(200):
            with pytest.raises(EucentricError):
                rig.dispatcher.safe_stop(Identity(EVE, "eve"))
        assert len(rig.records()) == on_record + 119 + 120


@pytest.mark.parametrize("label", ["\ud800", "eve\x1b[2J", "e\u200bve", "", 7])
def test_no_label_keeps_a_refused_attempt_off_the_record(tmp_path: Path, label: JsonValue) -> None:
    with Rig(tmp_path) as rig:
        with pytest.raises(NotAuthorisedError):
            table(rig, EVE)["lease.request"]({"client": label, "reason": ""})
        assert rig.told() == [("eve", "lease.request", "refused")]
    verify_audit(rig.log)


def test_limits_that_no_file_can_hold_are_refused_on_record(tmp_path: Path) -> None:
    bench = Bench()
    interlocks = Interlocks(Limits(), bench.capabilities, path=None)
    with Rig(tmp_path, bench=bench, interlocks=interlocks) as rig:
        with pytest.raises(CommandRefusedError):
            rig.dispatcher.interlocks.tighten(Identity(ADA, "ada"), {"\ud800": "\udfff"})
        record = rig.records()[-1]
        assert (record.who, record.action, record.outcome) == ("ada", "interlocks.tighten", "refused")
        assert record.details["limits"] == {"?": "?"}
        assert record.role is Role.SCIENTIST
    verify_audit(rig.log)


@pytest.mark.parametrize(("sent", "kept"), [("t" * 100_000, "t" * 64), ("", None), ("t1", "t1")])
def test_a_trace_has_the_length_that_events_allow(tmp_path: Path, sent: str, kept: str | None) -> None:
    with Rig(tmp_path) as rig:
        epoch = rig.lease(ADA)
        command = envelope(ADA, SessionStart(session="s"), epoch).model_copy(update={"trace_id": sent})
        table(rig, ADA)["execute"](command.model_dump(mode="json"))
        assert {record.trace_id for record in rig.records() if record.action == "session.start"} == {kept}


@pytest.mark.parametrize("name", ["agent", "Agent", " agent", "\uff41gent", "agent/x"])
@pytest.mark.parametrize("authenticated", [True, False])
def test_nobody_reads_like_the_agent_itself(tmp_path: Path, name: str, authenticated: bool) -> None:
    caller = someone(name, Role.VIEWER) if authenticated else Caller(name="anonymous", role=Role.VIEWER)
    with Rig(tmp_path) as rig:
        rig.dispatcher.make_safe("the agent stops")
        rig.dispatcher.safe_stop(Identity(caller, name))
        own, theirs = rig.records()
    assert own.who == "agent"
    assert theirs.who != "agent"
    assert theirs.who.partition("/")[0].endswith("gent (client)")
