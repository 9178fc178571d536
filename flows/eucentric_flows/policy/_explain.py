"""A policy as one English sentence, for people who do not read TOML."""

from __future__ import annotations

from ._models import DatasetTrigger, DriftTrigger, FramesTrigger, Policy

__all__ = ["explain"]


def explain(policy: Policy) -> str:
    """What the policy does, when, and what holds it back."""
    action, guards, gates = policy.action, policy.guards, policy.action.gates
    parts = (
        f"{_when(policy)}, model {policy.model} is retrained by {action.recipe.upper()}",
        f"({action.members} members, {action.steps} steps each)",
        f"on {action.frames} new frames (waiting for them at most {_duration(action.gather_timeout_s)})",
        f"and {action.replay_frames} replayed ones;",
        "the result replaces the champion only if its F1 on held-out recent frames is better by more than",
        f"{gates.min_f1_gain_on_recent:g} and on the start data worse by at most",
        f"{gates.max_f1_loss_on_start:g};",
        f"never two runs of a model at a time, at most {guards.max_runs_per_day} a day,",
        f"{_duration(guards.cooldown_s)} between them.",
    )
    return ("" if policy.enabled else "DISABLED: ") + " ".join(parts)


def _when(policy: Policy) -> str:
    match policy.trigger:
        case DriftTrigger(min_score=score, material=material):
            on = f" on {material}" if material else ""
            return f"When the edge reports drift of model {policy.model}{on} of score {score:g} or more"
        case DatasetTrigger(material=material, min_frames=frames):
            return f"When a data set of {material} with at least {frames} frame(s) is registered"
        case FramesTrigger() as trigger:
            return (
                f"When {trigger.count} frames of {trigger.material} ({trigger.shards} shards of "
                f"{trigger.frames_per_shard}) have been registered within {_duration(trigger.within_s)}"
            )


def _duration(seconds: float) -> str:
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length_s and seconds % length_s == 0:
            return f"{seconds / length_s:g} {unit}"
    return f"{seconds:g} s"
