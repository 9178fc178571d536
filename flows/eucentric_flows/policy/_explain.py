"""A policy as one English sentence, for people who do not read TOML."""

from __future__ import annotations

from ._document import Policy
from ._guard_settings import Guards
from ._wording import duration, listed

__all__ = ["explain"]


def explain(policy: Policy) -> str:
    """What the policy does, when, and what holds it back."""
    when = f"When {policy.trigger.phrase(policy.model)}"
    if policy.conditions:
        when += f", provided that {listed([each.phrase(policy.model) for each in policy.conditions])}"
    held = ", ".join(_limits(policy.guards))
    limits = f"never two runs of a model at a time, {held}" if policy.action.begins_a_run else held
    sentence = f"{when}, {policy.action.phrase(policy.model)}; {limits}{_put_off(policy.guards)}."
    return sentence if policy.enabled else f"DISABLED: {sentence}"


def _limits(guards: Guards) -> list[str]:
    limits = [f"at most {guards.max_runs_per_day} a day", f"{duration(guards.cooldown_s)} between them"]
    if guards.max_node_hours_per_day is not None:
        limits.append(f"at most {guards.max_node_hours_per_day:g} node-hours a day")
    return limits


def _put_off(guards: Guards) -> str:
    told = ""
    if (hours := guards.quiet_hours) is not None:
        days = "" if len(set(hours.days)) == 7 else f" on {listed(hours.days)}"
        told += f"; from {hours.begin} to {hours.end} ({hours.time_zone}){days} it waits until {hours.end}"
    if guards.approval is not None:
        told += f"; a person has to approve within {duration(guards.approval.within_s)}"
    return told
