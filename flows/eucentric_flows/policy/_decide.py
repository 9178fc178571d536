"""The decision, as a pure function of the policy, the event, what ran before, and the time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from eucentric_core import AnyEvent, DatasetRegistered, DriftDetected, ShardRegistered

from ._models import DatasetTrigger, Decision, DriftTrigger, FramesTrigger, PastRun, Policy

__all__ = ["decide"]

_DAY = timedelta(days=1)


def decide(policy: Policy, event: AnyEvent, history: Sequence[PastRun], now: datetime) -> Decision:
    """Whether the policy's action may run for this event.

    Args:
        policy: the declared rule.
        event: what happened.
        history: earlier runs, in any order; those that were held do not count.
        now: the present time, in UTC.
    """
    for objection in _objections(policy, event, history, now):
        return Decision(fire=False, reason=objection)
    return Decision(fire=True, reason=f"policy {policy.name} fires on {event.kind} from {event.source}")


def _objections(policy: Policy, event: AnyEvent, history: Sequence[PastRun], now: datetime) -> Iterator[str]:
    if not policy.enabled:
        yield f"policy {policy.name} is disabled"
    yield from _mismatch(policy, event)
    admitted = [run for run in history if run.admitted]
    for run in admitted:
        if run.model == policy.model and run.in_flight:
            yield f"run {run.trigger_id} of model {run.model} is in flight"
    own = [run for run in admitted if run.policy == policy.name]
    for run in own:
        left_s = policy.guards.cooldown_s - (now - run.last_active_utc).total_seconds()
        if left_s > 0:
            yield f"cooldown of {policy.guards.cooldown_s:g} s, {left_s:.0f} s of it left"
    today = sum(run.started_utc > now - _DAY for run in own)
    if today >= policy.guards.max_runs_per_day:
        yield f"budget of {policy.guards.max_runs_per_day} run(s) a day is used up"


def _mismatch(policy: Policy, event: AnyEvent) -> Iterator[str]:
    match policy.trigger, event:
        case DriftTrigger() as trigger, DriftDetected():
            if event.model_name != policy.model:
                yield f"the event is about model {event.model_name}, not {policy.model}"
            if event.drift_score < trigger.min_score:
                yield f"drift score {event.drift_score:.3g} is below {trigger.min_score:.3g}"
            yield from _other_material(trigger.material, event.material)
        case DatasetTrigger() as trigger, DatasetRegistered():
            if event.frames < trigger.min_frames:
                yield f"data set {event.dataset_id} has {event.frames} of {trigger.min_frames} frames"
            yield from _other_material(trigger.material, event.material)
        case FramesTrigger() as trigger, ShardRegistered():
            yield from _other_material(trigger.material, event.material)
        case _:
            yield f"a {event.kind} event does not trigger a {policy.trigger.kind} policy"


def _other_material(wanted: str | None, found: str | None) -> Iterator[str]:
    if wanted is not None and found != wanted:
        yield f"the material is {found or 'not stated'}, not {wanted}"
