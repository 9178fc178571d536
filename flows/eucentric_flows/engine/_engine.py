"""The resident engine: takes events in their order, has the policies asked, and what they order done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from eucentric_core import ServiceUnavailableError, utc_now

from .._event_outbox import EventOutbox
from ..policy import Policy
from ..runs import RunRecord
from ._docket import Books, Docket
from ._endings import RunEndings
from ._orders import OrderRefusedError, OrderTaker
from ._store import PolicyStore

__all__ = ["PolicyEngine"]

_POSITION = "position in the outbox"
_BATCH = 50
_ENDINGS_EVERY = timedelta(seconds=1)
_ORDERS_AGAIN_AFTER = timedelta(seconds=2)

_log = logging.getLogger(__name__)


class PolicyEngine:
    """Decides about every event once. One engine at a time; it goes on where the last one stopped.

    Args:
        policies: those that hold now and that it decides about.
        outbox: where events arrive.
        store: the books.
        record: of runs.
        orders: who carries out what is decided.
        on_considered: told up to which position in the outbox policies were asked and orders given.
        clock: present time, in UTC.
    """

    def __init__(
        self,
        policies: Callable[[], Sequence[Policy]],
        outbox: EventOutbox,
        store: PolicyStore,
        record: RunRecord,
        orders: OrderTaker,
        *,
        on_considered: Callable[[int], None] = lambda _position: None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._policies = policies
        self._outbox = outbox
        self._books = Books(store, record)
        self._orders = orders
        self._on_considered = on_considered
        self._clock = clock
        self._endings = RunEndings(store, record)
        self._endings_due: datetime | None = None
        self._orders_due: datetime | None = None
        self._asked: Sequence[Policy] | None = None
        self._due: datetime | None = None

    def step(self) -> bool:
        """Do what there is to do now. Returns whether there is more at once."""
        now = self._clock()
        self._tell_endings(now)
        position, more = self._decide(now)
        self._give_orders(now)
        self._on_considered(position)
        return more

    def _tell_endings(self, now: datetime) -> None:
        if self._endings_due is not None and now < self._endings_due:
            return
        self._endings_due = now + _ENDINGS_EVERY
        for event in self._endings.new(now):
            self._outbox.add(event)
            self._endings.note(event)

    def _decide(self, now: datetime) -> tuple[int, bool]:
        books, policies = self._books, self._policies()
        position = int(books.store.fact(_POSITION) or 0)
        batch = self._outbox.after(position, limit=_BATCH)
        answers = books.answers.open([policy.name for policy in policies])
        if not batch and not answers and not self._is_due(policies, now):
            return position, False
        with books.store.transaction():
            docket = Docket(books, policies, now)
            # What is due comes first: its time had come before these events arrived.
            docket.tick(answers)
            for place, event in batch:
                if books.journal.add(event, now):
                    docket.take(event)
                position = place
            docket.keep()
            books.store.remember(_POSITION, str(position))
        self._asked, self._due = policies, docket.next_due_utc()
        return position, len(batch) == _BATCH

    def _is_due(self, policies: Sequence[Policy], now: datetime) -> bool:
        # States change in sittings only: between them the due time stays, unless there are other policies.
        return policies != self._asked or (self._due is not None and now >= self._due)

    def _give_orders(self, now: datetime) -> None:
        if self._orders_due is not None and now < self._orders_due:
            return
        self._orders_due = None
        decisions = self._books.decisions
        for order in decisions.orders():
            try:
                self._orders.carry_out(order)
            except ServiceUnavailableError as error:
                _log.warning("orders wait: %s", error)
                self._orders_due = now + _ORDERS_AGAIN_AFTER
                return
            except OrderRefusedError as error:
                _log.error("policy %s, %s: %s", order.policy, order.trigger_id, error)
                decisions.amend(order.trigger_id, "held", error.what, now)
            decisions.carried_out(order, now)
