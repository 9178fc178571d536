"""A policy as one English sentence, for people who do not read TOML."""

from __future__ import annotations

from eucentric_model_registry import MetricGate

from ._models import DatasetTrigger, DriftTrigger, FramesTrigger, Policy, RetrainAction

__all__ = ["explain"]


def explain(policy: Policy) -> str:
    """What the policy does, when, and what holds it back."""
    guards = policy.guards
    parts = (
        f"{_when(policy)}, model {policy.model} is retrained by {_how(policy.action)};",
        f"the result replaces the champion only if {_only_if(policy.action)};",
        f"never two runs of a model at a time, at most {guards.max_runs_per_day} a day,",
        f"{_duration(guards.cooldown_s)} between them.",
    )
    return ("" if policy.enabled else "DISABLED: ") + " ".join(parts)


def _how(action: RetrainAction) -> str:
    new = f"{action.frames} new frames (waiting for them at most {_duration(action.gather_timeout_s)})"
    if action.recipe == "elit":
        return (
            f"ELIT ({action.members} members, {action.steps} steps each) on {new} "
            f"and {action.replay_frames} replayed ones"
        )
    told = ", ".join(f"{name} {value}" for name, value in sorted(action.parameters.items()))
    return f"the recipe {action.recipe}{f' ({told})' if told else ''} on {new}"


def _only_if(action: RetrainAction) -> str:
    gates = action.gates
    if action.recipe == "elit":
        return (
            f"its F1 on held-out recent frames is better by more than {gates.min_f1_gain_on_recent:g} "
            f"and on the start data worse by at most {gates.max_f1_loss_on_start:g}"
        )
    if gates.metrics:
        return "on held-out data " + " and ".join(_limit(gate) for gate in gates.metrics)
    return "it is better on held-out data by the recipe's own figures"


def _limit(gate: MetricGate) -> str:
    for bound, words in (("at_least", "at least"), ("at_most", "at most")):
        if (value := getattr(gate, bound)) is not None:
            return f"{gate.metric} is {words} {value:g}"
    if gate.min_gain is not None:
        return f"{gate.metric} is {gate.better} than the champion's by more than {gate.min_gain:g}"
    return f"{gate.metric} is worse than the champion's by at most {gate.max_loss:g}"


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
