"""What is ordered because of an event goes to Prefect before the event; no event waits for long."""

from __future__ import annotations

import threading
from pathlib import Path

from eucentric_core import DriftDetected
from eucentric_flows.engine import PolicyEngine
from eucentric_flows.engine._considered import Considered
from eucentric_flows.policy import Policy

from .policy_hub import open_hub

POLICY = Policy.model_validate(
    {
        "schema_version": 2,
        "name": "retrain-on-drift",
        "model": "atoms",
        "trigger": {"kind": "drift"},
        "action": {"kind": "retrain", "material": "mos2"},
    }
)


def drift() -> DriftDetected:
    return DriftDetected(
        source="edge-1", instrument="microscope-1", session="s", first_sequence=0, sequence=8,
        drift_score=4.0, quality_score=0.4, model_name="atoms", model_version=1, material="mos2",
    )  # fmt: skip


def test_the_engine_tells_how_far_it_is_once_its_orders_are_given(tmp_path: Path) -> None:
    with open_hub(tmp_path, POLICY) as hub:
        told: list[tuple[int, int]] = []
        hub.engine = PolicyEngine(
            lambda: hub.policies, hub.outbox, hub.store, hub.record, hub,
            on_considered=lambda position: told.append((position, len(hub.taken))), clock=lambda: hub.now,
        )  # fmt: skip
        hub.settle()
        assert told[-1] == (0, 0)
        hub.outbox.add(drift())
        hub.settle()
        assert told[-1] == (hub.outbox.newest(), 1)
        assert hub.outbox.newest() == 1


def test_orders_that_find_nobody_hold_no_event_back(tmp_path: Path) -> None:
    with open_hub(tmp_path, POLICY) as hub:
        told: list[int] = []
        hub.engine = PolicyEngine(
            lambda: hub.policies, hub.outbox, hub.store, hub.record, hub,
            on_considered=told.append, clock=lambda: hub.now,
        )  # fmt: skip
        hub.down = True
        hub.outbox.add(drift())
        hub.settle()
        assert told[-1] == hub.outbox.newest()
        assert hub.taken == []


def test_who_waits_goes_on_once_the_engine_is_there() -> None:
    considered = Considered()
    considered.note(3)
    considered.wait(3, at_most_s=0)
    waiting = threading.Thread(target=considered.wait, args=(5,), kwargs={"at_most_s": 60})
    waiting.start()
    considered.note(4)
    considered.note(5)
    waiting.join(30)
    assert not waiting.is_alive()


def test_nobody_waits_for_an_engine_that_does_not_come() -> None:
    waiting = threading.Thread(target=Considered().wait, args=(1,))
    waiting.start()
    waiting.join(30)
    assert not waiting.is_alive()
