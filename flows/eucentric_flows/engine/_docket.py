"""One sitting: the events that have arrived, the policies, and what is ruled about each."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from eucentric_core import AnyEvent, ModelPromoted

from ..policy import (
    Answer,
    Cause,
    ChampionSince,
    Circumstances,
    Order,
    PastRun,
    Policy,
    PolicyError,
    PolicyState,
    RetrainAction,
    Ruling,
    advance,
    next_due_utc,
    reconsider,
)
from ..runs import RunRecord, RunRecordError
from ._answers import Answers
from ._decisions import Decisions, Fired
from ._journal import Journal
from ._past import as_past_run, past_runs
from ._states import States
from ._store import PolicyStore
from ._switches import Switches

__all__ = ["Books", "Docket"]

_LONGEST_TRIGGER_ID = 100

_log = logging.getLogger(__name__)


class Books:
    """What a hub knows for deciding: the parts of the store, and the record of runs."""

    def __init__(self, store: PolicyStore, record: RunRecord) -> None:
        self.store = store
        self.record = record
        self.journal = Journal(store)
        self.decisions = Decisions(store)
        self.states = States(store)
        self.switches = Switches(store)
        self.answers = Answers(store)

    def is_recorded(self, trigger_id: str) -> bool:
        """Whether the record of runs knows a trigger, also one that it did not admit."""
        try:
            self.record.run(trigger_id)
        except RunRecordError:
            return False
        return True


class Docket:
    """Asks policies, writes their rulings down and places the orders, all within a transaction of the store.

    Args:
        books: of the hub.
        policies: that hold now.
        now: present time, in UTC; one for the whole sitting.
    """

    def __init__(self, books: Books, policies: Sequence[Policy], now: datetime) -> None:
        self._books = books
        self._now = now
        self._states = {policy.name: books.states.of(policy) for policy in policies}
        self._changed: set[str] = set()
        self._policies = policies
        self._why_off = {policy.name: books.switches.why_off(policy) for policy in policies}
        self._champions: dict[str, ChampionSince] = books.journal.champions()
        self._past: list[PastRun] = past_runs(
            policies, books.record.history(), books.decisions, books.is_recorded, now
        )

    def take(self, event: AnyEvent) -> None:
        """Ask every policy about an event that has not been there before."""
        if isinstance(event, ModelPromoted):
            self._champions[event.model_name] = ChampionSince(
                version=event.model_version, promoted_utc=event.occurred_utc
            )
        for policy in self._policies:
            if event.kind not in policy.trigger.hears:
                continue
            # Prefect may have decided about it, when this policy was one of its automations.
            if self._books.decisions.known(policy.name, event.id):
                continue
            self._advance(policy, self._circumstances(policy, event))

    def tick(self, answers: Mapping[tuple[str, str], Answer]) -> None:
        """Take up what is due, and what a person has answered."""
        for policy in self._policies:
            waiting = self._states[policy.name].waiting
            if waiting is not None:
                answer = answers.get((policy.name, waiting.occurrence))
                state, ruling = reconsider(
                    policy, self._states[policy.name], self._circumstances(policy), answer
                )
                self._settle(policy, state, ruling)
            due_utc = next_due_utc(policy, self._states[policy.name])
            if due_utc is not None and self._now >= due_utc:
                self._advance(policy, self._circumstances(policy))

    def next_due_utc(self) -> datetime | None:
        """When a policy wants to be asked although nothing happens."""
        due = (next_due_utc(policy, self._states[policy.name]) for policy in self._policies)
        return min((each for each in due if each is not None), default=None)

    def keep(self) -> None:
        """Write down what the policies remember now."""
        for policy in self._policies:
            if policy.name in self._changed:
                self._books.states.keep(policy, self._states[policy.name])

    def _circumstances(self, policy: Policy, event: AnyEvent | None = None) -> Circumstances:
        return Circumstances(
            now=self._now,
            history=self._past,
            champions=self._champions,
            event=event,
            switched_off=self._why_off[policy.name],
            recall=self._books.journal.event,
        )

    def _advance(self, policy: Policy, circumstances: Circumstances) -> None:
        self._settle(policy, *advance(policy, self._states[policy.name], circumstances))

    def _settle(self, policy: Policy, state: PolicyState, ruling: Ruling | None) -> None:
        if state != self._states[policy.name]:
            self._states[policy.name] = state
            self._changed.add(policy.name)
        if ruling is None:
            return
        event = self._books.journal.event(ruling.occurrence)
        kind = None if event is None else event.kind
        if ruling.status == "fired":
            self._fire(policy, ruling, event)
        else:
            self._books.decisions.record(policy.name, ruling, self._now, event_kind=kind)
        if ruling.status != "not_met":
            _log.info("policy %s, %s: %s, %s", policy.name, ruling.occurrence, ruling.status, ruling.reason)

    def _fire(self, policy: Policy, ruling: Ruling, event: AnyEvent | None) -> None:
        trigger_id = self._trigger_id(policy, ruling.occurrence)
        kind = None if event is None else event.kind
        try:
            order = self._order(policy, ruling, trigger_id, event)
        except PolicyError as error:
            held = ruling.model_copy(update={"status": "held", "reason": error.what})
            self._books.decisions.record(policy.name, held, self._now, event_kind=kind)
            return
        self._books.decisions.record(
            policy.name,
            ruling,
            self._now,
            event_kind=kind,
            trigger_id=trigger_id,
            begins_a_run=policy.action.begins_a_run,
            order=order,
        )
        fired = Fired(policy.name, trigger_id, self._now, policy.action.begins_a_run)
        self._past.append(as_past_run(fired, policy.model))

    def _order(self, policy: Policy, ruling: Ruling, trigger_id: str, event: AnyEvent | None) -> Order:
        material = policy.action.material if isinstance(policy.action, RetrainAction) else None
        return policy.action.order(
            Cause(
                trigger_id=trigger_id,
                policy=policy.name,
                model=policy.model,
                reason=ruling.reason,
                event=event,
                dataset_id=self._books.journal.newest_dataset(material),
            )
        )

    def _trigger_id(self, policy: Policy, occurrence: str) -> str:
        # A run is named by its event; a second policy that acts on the same event needs a name of its own.
        taken = self._books.decisions.fired_by(occurrence) is not None
        if not taken and not self._books.is_recorded(occurrence):
            return occurrence
        return f"{occurrence}.{policy.name}"[:_LONGEST_TRIGGER_ID]
