"""The decision, as pure functions of the policy, its state, the event and the circumstances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from eucentric_core import AnyEvent

from ._circumstances import Circumstances, PastRun
from ._document import Policy
from ._moment import Met, Moment, NotMet
from ._ruling import Answer, Decision, PolicyState, Ruling, Waiting
from .guards import GUARDS, Objection

__all__ = ["advance", "decide", "may_run", "next_due_utc", "reconsider"]


def advance(
    policy: Policy, state: PolicyState, circumstances: Circumstances
) -> tuple[PolicyState, Ruling | None]:
    """Take one moment into account: an event, or only the time.

    Args:
        policy: the declared rule.
        state: what the policy remembers.
        circumstances: the present; its event is what happened, None if only time passed.

    Returns:
        The state after it, and what was ruled; None if the moment does not concern the policy.
    """
    moment = Moment(circumstances.now, policy.name, policy.model, circumstances.event)
    memory, outcome = policy.trigger.advance(state.memory, moment)
    after = state.model_copy(update={"memory": memory})
    match outcome:
        case Met():
            return _rule(policy, after, circumstances, outcome)
        case NotMet(reason) if circumstances.event is not None:
            return after, Ruling(occurrence=circumstances.event.id, status="not_met", reason=reason)
        case _:
            return after, None


def _rule(
    policy: Policy, state: PolicyState, circumstances: Circumstances, met: Met
) -> tuple[PolicyState, Ruling]:
    if state.waiting is not None:
        reason = f"{state.waiting.occurrence} fired before and waits: {state.waiting.objection}"
        return state, Ruling(occurrence=met.occurrence, status="held", reason=reason)
    event = circumstances.event
    if event is None or event.id != met.occurrence:
        event = circumstances.recall(met.occurrence)
    return _weigh(policy, state, replace(circumstances, event=event), met.occurrence, met.reason)


def _weigh(
    policy: Policy, state: PolicyState, circumstances: Circumstances, occurrence: str, because: str
) -> tuple[PolicyState, Ruling]:
    for condition in policy.conditions:
        if unmet := condition.unmet(policy.name, policy.model, circumstances):
            return state, Ruling(occurrence=occurrence, status="held", reason=unmet)
    objection = _objection(policy, circumstances)
    if objection is None:
        approved = f", approved by {circumstances.approved_by}" if circumstances.approved_by else ""
        return state, Ruling(occurrence=occurrence, status="fired", reason=f"{because}{approved}")
    if objection.until_utc is None:
        return state, Ruling(occurrence=occurrence, status="held", reason=objection.reason)
    waiting = Waiting(
        occurrence=occurrence,
        because=because,
        objection=objection.reason,
        until_utc=objection.until_utc,
        approval=objection.approval,
        approved_by=circumstances.approved_by,
    )
    return state.model_copy(update={"waiting": waiting}), Ruling(
        occurrence=occurrence,
        status="awaiting" if objection.approval else "deferred",
        reason=objection.reason,
        until_utc=objection.until_utc,
    )


def reconsider(
    policy: Policy, state: PolicyState, circumstances: Circumstances, answer: Answer | None = None
) -> tuple[PolicyState, Ruling | None]:
    """Take up again what was put off, if its time has come or somebody has answered.

    All conditions and guards are asked once more: what was true when it was put off may not be now.
    """
    waiting = state.waiting
    if waiting is None:
        return state, None
    free = state.model_copy(update={"waiting": None})
    if waiting.approval and answer is not None:
        if not answer.approved:
            reason = f"rejected by {answer.said_by}"
            return free, Ruling(occurrence=waiting.occurrence, status="rejected", reason=reason)
        return _again(policy, free, circumstances, waiting, answer.said_by)
    if circumstances.now < waiting.until_utc:
        return state, None
    if waiting.approval:
        return free, Ruling(occurrence=waiting.occurrence, status="expired", reason="nobody approved in time")
    return _again(policy, free, circumstances, waiting, waiting.approved_by)


def _again(
    policy: Policy,
    state: PolicyState,
    circumstances: Circumstances,
    waiting: Waiting,
    approved_by: str | None,
) -> tuple[PolicyState, Ruling]:
    event = circumstances.recall(waiting.occurrence)
    present = replace(circumstances, event=event, approved_by=approved_by)
    return _weigh(policy, state, present, waiting.occurrence, waiting.because)


def next_due_utc(policy: Policy, state: PolicyState) -> datetime | None:
    """When the policy wants to be asked although nothing happens; None: not before the next event."""
    trigger_due = policy.trigger.due_utc(state.memory)
    waiting_due = None if state.waiting is None else state.waiting.until_utc
    return min((due for due in (trigger_due, waiting_due) if due is not None), default=None)


def may_run(policy: Policy, circumstances: Circumstances) -> Decision:
    """Whether what has fired may begin now; asked in the transaction that records the run.

    What puts a run off, and approval, have been dealt with when it fired.
    """
    objection = _objection(policy, circumstances)
    if objection is None or objection.until_utc is not None:
        return Decision(fire=True, reason=f"policy {policy.name} fired")
    return Decision(fire=False, reason=objection.reason)


def decide(policy: Policy, event: AnyEvent, history: Sequence[PastRun], now: datetime) -> Decision:
    """Whether the policy acts on this event alone, with nothing remembered.

    Args:
        policy: the declared rule.
        event: what happened.
        history: earlier runs, in any order; those that were held do not count.
        now: the present time, in UTC.
    """
    off = None if policy.enabled else f"policy {policy.name} is disabled"
    circumstances = Circumstances(now=now, history=history, event=event, switched_off=off)
    _, ruling = advance(policy, PolicyState(), circumstances)
    if ruling is None:
        return Decision(fire=False, reason=f"the {event.kind} event does not concern policy {policy.name}")
    if ruling.status != "fired":
        return Decision(fire=False, reason=ruling.reason)
    return Decision(fire=True, reason=f"policy {policy.name} fires on {event.kind} from {event.source}")


def _objection(policy: Policy, circumstances: Circumstances) -> Objection | None:
    objections = (guard(policy, circumstances) for guard in GUARDS)
    return next((objection for objection in objections if objection is not None), None)
