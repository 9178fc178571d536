"""So many runs and node-hours within any 24 hours."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ._objection import Objection

if TYPE_CHECKING:
    from .._circumstances import Circumstances
    from .._document import Policy

__all__ = ["node_hours_spent", "runs_spent"]

_DAY = timedelta(days=1)
_HOUR_S = 3600.0


def runs_spent(policy: Policy, circumstances: Circumstances) -> Objection | None:
    """See `Guard`."""
    most = policy.guards.max_runs_per_day
    if sum(1 for _ in circumstances.runs_of(policy.name, within=_DAY)) >= most:
        return Objection(f"budget of {most} run(s) a day is used up")
    return None


def node_hours_spent(policy: Policy, circumstances: Circumstances) -> Objection | None:
    """See `Guard`. A run is begun only if its longest possible training still fits: it is never cut short."""
    most = policy.guards.max_node_hours_per_day
    if most is None:
        return None
    day_ago = circumstances.now - _DAY
    recent = (run for run in circumstances.runs_of(policy.name) if run.last_active_utc > day_ago)
    spent = sum(run.busy_s for run in recent) * policy.action.nodes / _HOUR_S
    longest = policy.action.node_hours_at_most
    if spent + longest <= most:
        return None
    return Objection(
        f"budget of {most:g} node-hours a day: {spent:.2f} are used, and a run may take up to {longest:.2f}"
    )
