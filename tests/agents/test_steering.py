"""Steering an agent over the wire: the lease, the safe state, stopping at once, doing a thing once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from eucentric_agents import verify_audit
from eucentric_agents.control import AuditLog, Dispatcher, LeaseKeeper, SessionDesk, SessionNames
from eucentric_agents.drivers import MoveHaltedError
from eucentric_core import (
    BusyError,
    Capabilities,
    CommandEnvelope,
    CommandRefusedError,
    Event,
    LeaseError,
    LeaseLost,
    RemoteError,
    Settings,
    SteeringClient,
    UnsupportedError,
)
from eucentric_core.transport import PyroControlClient, StreamSubscriber
from eucentric_core.vocabulary import (
    ColumnValve,
    Command,
    CommandResult,
    Done,
    ScanAcquire,
    ScanStream,
    SessionStart,
    StageMove,
    StageTilt,
)

from .rig import StartAgent, wait_until

ENDLESS = ScanStream(height_px=64, width_px=64, max_frames_per_s=50)


def raw_call(settings: Settings, command: Command, *, epoch: int | None, key: str | None = None) -> object:
    """Send a command with whatever epoch and key, as a client gone wrong would."""
    envelope = CommandEnvelope.model_validate(
        {"command": command, "client": "raw", "idempotency_key": key or uuid4().hex, "lease_epoch": epoch}
    )
    client = PyroControlClient(settings.agent.host, settings.agent.control_port)
    try:
        return client.call("execute", envelope.model_dump(mode="json"))
    finally:
        client.close()


def test_connecting_moves_nothing_and_observing_needs_no_lease(agent: StartAgent) -> None:
    scope = agent()
    state = scope.state()
    assert (state.beam_blanked, state.scanning, state.session) == (True, False, None)
    assert scope.stage().actual == scope.stage().commanded
    assert scope.lease().holder is None
    assert scope.capabilities.simulated


def test_steering_needs_the_lease_and_only_one_client_has_it(agent: StartAgent) -> None:
    ada, bob = agent(), agent(client="bob")
    with pytest.raises(LeaseError):
        ada.start_session("s")
    with ada.control(reason="experiment"):
        assert bob.lease().holder == "ada"
        with pytest.raises(LeaseError, match="ada holds"), bob.control(reason="also"):
            pass
        ada.start_session("s")
    assert bob.state().session == "s"
    with bob.control(reason="my turn"):
        bob.stop_session()


def test_a_lost_lease_blanks_the_beam_stops_the_scan_and_is_announced(
    agent: StartAgent, settings: Settings
) -> None:
    scope = agent(lease_duration_s=0.6)
    with StreamSubscriber(
        settings.agent.host, settings.agent.data_port, streams=["events"], mode="lossless"
    ) as events:
        events.wait_subscribed(5)
        # The client renews every three seconds, so its lease of 0.6 s runs out as if it had died.
        with scope.control(reason="about to die"):
            scope.start_session("s")
            scope.unblank(max_duration_s=600)
            scope.stream(ENDLESS)
            assert not scope.state().beam_blanked
            old_epoch = scope.lease().epoch
            wait_until(lambda: scope.state().beam_blanked and not scope.state().scanning)
            with pytest.raises(LeaseError):
                scope.unblank(max_duration_s=600)
            wait_until(lambda: scope.lease().holder is None)
            with pytest.raises(LeaseError):
                scope.stop_session()
            scope._lost = LeaseError("", safe="", next_step="")  # what the renewer finds out after three seconds
        received: list[Event] = []

        def lost() -> bool:
            message = events.receive(0.2)
            if message is not None:
                events.acknowledge()
                received.append(message.event())
            return any(isinstance(event, LeaseLost) for event in received)

        wait_until(lost)
    loss = next(event for event in received if isinstance(event, LeaseLost))
    assert (loss.holder, loss.epoch) == ("ada", old_epoch)
    assert loss.safe_state_s < 3

    successor = agent(client="bob")
    with successor.control(reason="take over"):
        assert successor.lease().epoch == old_epoch + 1
        with pytest.raises(LeaseError):
            raw_call(settings, ENDLESS, epoch=old_epoch)
        assert not successor.state().scanning


def test_the_agent_blanks_a_beam_that_was_unblanked_for_a_limited_time(
    agent: StartAgent, settings: Settings
) -> None:
    scope = agent()
    with scope.control(reason="short look"):
        scope.unblank(max_duration_s=0.2)
        wait_until(lambda: scope.state().beam_blanked)
        assert scope.lease().holder == "ada"
        scope.unblank(max_duration_s=600)
        scope.blank()
        scope.unblank(max_duration_s=600)
        assert not scope.state().beam_blanked
    audit = (settings.home / "agent" / "audit.jsonl").read_text()
    assert audit.count("the time limit of beam.unblank") == 1


def test_a_busy_instrument_refuses_steering_and_queues_nothing_but_stops_at_once(agent: StartAgent) -> None:
    scope, other = agent(), agent(client="bob")
    with scope.control(reason="long move"), ThreadPoolExecutor() as threads:
        # At 200 nm/s and with 5 mm forbidden, only settling is slow: ask for a move of many nanometres.
        scope.start_session("s")
        move = threads.submit(scope.execute, StageMove(x_m=9.9e-9, y_m=9.9e-9))
        wait_until(lambda: move.running() and _busy(scope))
        other.safe_stop()
        with pytest.raises(RemoteError) as halted:
            move.result(timeout=10)
        assert halted.value.details["remote_code"] == MoveHaltedError.code
        scope.set_defocus(1e-9)


def _busy(scope: SteeringClient) -> bool:
    stage = scope.stage()
    return stage.commanded.x_m != 0 and stage.reported.x_m != stage.commanded.x_m
