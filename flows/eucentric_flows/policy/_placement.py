"""Which policies Prefect can decide about by itself, and which the resident engine decides about."""

from __future__ import annotations

from collections.abc import Sequence

from ._document import Policy
from .actions import RetrainAction

__all__ = ["decided_by_prefect", "decided_here", "why_resident"]


def why_resident(policy: Policy, policies: Sequence[Policy]) -> str | None:
    """Why an automation cannot stand for a policy, as a clause; None if it can.

    An automation knows an event by its kind and by labels that are equal, and can run a deployment. It can
    neither compare numbers nor remember, and nothing of it can be put off or approved. Cooldown, budget and
    one run at a time are asked when the run begins.
    """
    if policy.trigger.as_match(policy.model) is None:
        return f"its trigger {policy.trigger.kind!r} is more than an event with certain labels"
    if not policy.enabled:
        return "it is disabled in its file, and only the engine knows the switch above that"
    if policy.conditions:
        return "it has conditions"
    if policy.guards.quiet_hours is not None or policy.guards.approval is not None:
        return "its firings may have to wait"
    if not isinstance(policy.action, RetrainAction):
        return f"its action {policy.action.kind!r} is handed more than the event"
    shared = [
        other.name
        for other in policies
        if other.name != policy.name and other.trigger.hears & policy.trigger.hears
    ]
    return f"{shared[0]} listens to the same events, and a run has one name" if shared else None


def decided_by_prefect(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """The policies that become automations."""
    return tuple(policy for policy in policies if why_resident(policy, policies) is None)


def decided_here(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """The policies that the engine decides about."""
    by_prefect = decided_by_prefect(policies)
    return tuple(policy for policy in policies if policy not in by_prefect)
