"""Earlier runs as guards see them: what the record says, and what has been ordered but not begun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from ..policy import PastRun, Policy
from ._decisions import Decisions, Fired

__all__ = ["BEGINS_WITHIN", "past_runs"]

BEGINS_WITHIN = timedelta(minutes=15)
"""A run that was ordered counts as in flight for so long, even if nothing is heard of it."""

_MONTH = timedelta(days=31)


def past_runs(
    policies: Sequence[Policy],
    recorded: Sequence[PastRun],
    decisions: Decisions,
    is_recorded: Callable[[str], bool],
    now: datetime,
) -> list[PastRun]:
    """Runs of the record, and firings that it does not know (yet).

    Args:
        policies: that are there now.
        recorded: what the record of runs says.
        decisions: the book of decisions.
        is_recorded: whether the record knows a trigger id, also of a run that it did not admit.
        now: present time, in UTC.
    """
    known = {run.trigger_id for run in recorded}
    models = {policy.name: policy.model for policy in policies}
    past = list(recorded)
    for fired in decisions.fired_since(now - _MONTH):
        if fired.trigger_id in known or fired.policy not in models:
            continue
        if fired.begins_a_run and (now - fired.decided_utc > BEGINS_WITHIN or is_recorded(fired.trigger_id)):
            continue
        past.append(as_past_run(fired, models[fired.policy]))
    return past


def as_past_run(fired: Fired, model: str) -> PastRun:
    """A firing as a run: one that has not begun is in flight, one that begins none has ended at once."""
    return PastRun(
        trigger_id=fired.trigger_id,
        policy=fired.policy,
        model=model,
        admitted=True,
        started_utc=fired.decided_utc,
        ended_utc=None if fired.begins_a_run else fired.decided_utc,
        alive=True,
    )
