"""What a policy decided and why, in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from ._card import card, table
from ._words import time_words

__all__ = ["decision_card"]


class _Step(Protocol):
    @property
    def at_utc(self) -> datetime: ...
    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> str: ...


class _Decision(Protocol):
    @property
    def policy(self) -> str: ...
    @property
    def occurrence(self) -> str: ...
    @property
    def event_kind(self) -> str | None: ...
    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def until_utc(self) -> datetime | None: ...
    @property
    def trigger_id(self) -> str | None: ...
    @property
    def steps(self) -> Sequence[_Step]: ...


def decision_card(decision: _Decision) -> str:
    """A decision as HTML: what it was about, what came of it, and every step to it."""
    rows = [
        ("about", f"{decision.event_kind or 'time'} {decision.occurrence}"),
        ("because", decision.reason),
        ("run", decision.trigger_id or "none"),
    ]
    if decision.until_utc is not None:
        rows.append(("taken up again", time_words(decision.until_utc)))
    steps = [(time_words(step.at_utc), step.status.replace("_", " "), step.reason) for step in decision.steps]
    return card(
        f"policy {decision.policy}",
        rows,
        badges=[decision.status.replace("_", " ")],
        below=table(steps, head=("when", "what", "why")) if steps else "",
    )
