"""A hub in small: outbox, books, record and engine are real; the clock and who runs the flows are played."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from eucentric_core import AnyEvent, ServiceUnavailableError
from eucentric_flows import ActiveRun, EventOutbox, RunRecord
from eucentric_flows.engine import Books, DecisionView, History, PlacedOrder, PolicyEngine, PolicyStore
from eucentric_flows.policy import Circumstances, FlowOrder, Policy, Status, may_run

__all__ = ["NOON", "PolicyHub", "open_hub"]

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class PolicyHub:
    """Takes events, lets time pass, and begins the runs that are ordered.

    Attributes:
        now: of every clock in it.
        down: whether orders find nobody.
        taken: trigger ids in the order in which orders were carried out, repeated ones too.
    """

    def __init__(self, folder: Path, policies: Sequence[Policy]) -> None:
        self.now = NOON
        self.down = False
        self.taken: list[str] = []
        self.policies = tuple(policies)
        self.outbox = EventOutbox(folder / "events.sqlite")
        self.store = PolicyStore(folder / "policies.sqlite")
        self.record = RunRecord(folder / "runs.sqlite", clock=lambda: self.now)
        self.books = Books(self.store, self.record)
        self.restart()

    def close(self) -> None:
        """Close the files."""
        for part in (self.outbox, self.store, self.record):
            part.close()

    def restart(self) -> None:
        """The service is killed and started again; only its files stay."""
        self.engine = PolicyEngine(
            lambda: self.policies, self.outbox, self.store, self.record, self, clock=lambda: self.now
        )

    def happen(self, *events: AnyEvent) -> None:
        """Events arrive now, and are decided about."""
        for event in events:
            self.outbox.add(event)
        self.settle()

    def settle(self) -> None:
        """Let the engine do all there is to do."""
        while self.engine.step():
            pass

    def wait(self, seconds: float) -> None:
        """Time passes, and the engine looks at the clock."""
        self.now += timedelta(seconds=seconds)
        self.settle()

    def carry_out(self, order: PlacedOrder) -> None:
        """Begin the run as a flow would: admitted in the record's transaction, if the guards still say so."""
        if self.down:
            raise ServiceUnavailableError("Prefect is down.", safe="nothing.", next_step="wait.")
        self.taken.append(order.trigger_id)
        if not isinstance(order.order, FlowOrder) or self.books.is_recorded(order.trigger_id):
            return
        policy = next(policy for policy in self.policies if policy.name == order.policy)
        self.record.admit(
            trigger_id=order.trigger_id,
            kind=order.order.flow,
            policy=policy.name,
            model=policy.model,
            triggered_by="policy",
            request=order.order.request,
            decision=lambda history, now: may_run(policy, Circumstances(now=now, history=history)),
        )

    def end_run(self, trigger_id: str, *, busy_s: float = 0.0) -> None:
        """A run trains for a time and is promoted."""
        run = ActiveRun(self.record, trigger_id)
        if busy_s:
            with run.stage("train"):
                self.now += timedelta(seconds=busy_s)
        run.end("promoted", "better", version=1)

    def decisions(self, *statuses: Status) -> list[DecisionView]:
        """What was decided, oldest first."""
        return list(reversed(History(self.store).newest(statuses=statuses, limit=10_000)))

    def said(self) -> list[tuple[str, str]]:
        """Status and reason of every decision, oldest first."""
        return [(decision.status, decision.reason) for decision in self.decisions()]


@contextmanager
def open_hub(folder: Path, *policies: Policy) -> Iterator[PolicyHub]:
    """A hub whose files lie in a folder."""
    hub = PolicyHub(folder, policies)
    try:
        yield hub
    finally:
        hub.close()
