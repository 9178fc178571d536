"""What a policy has to say when a run begins, in the transaction that records the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from eucentric_core import AnyEvent, Settings

from .engine import Decisions, PolicyStore, Switches, policies_file
from .policy import (
    Circumstances,
    Decision,
    PastRun,
    Policy,
    PolicyError,
    PolicyState,
    Ruling,
    advance,
    load_policies,
    may_run,
    why_resident,
)

__all__ = ["policy_decision", "policy_made"]


class _Request(Protocol):
    @property
    def trigger_id(self) -> str | None: ...

    @property
    def policy(self) -> str | None: ...

    @property
    def event(self) -> AnyEvent | None: ...


def policy_made(settings: Settings, trigger_id: str, policy: str | None) -> bool:
    """Whether our own books say that this policy fired under this trigger id."""
    if policy is None:
        return False
    with PolicyStore(policies_file(settings)) as store:
        return Decisions(store).fired_by(trigger_id) == policy


def policy_decision(
    settings: Settings, request: _Request, subject: str, *, by_automation: bool
) -> Callable[[Sequence[PastRun], datetime], Decision]:
    """How the record decides about a run.

    What the engine has fired meets its guards once more: another run may have begun since. What an automation
    of Prefect has made is decided here, and written into the books. What a person asks for in the name of a
    policy is held by its guards like anything else.

    Args:
        settings: of the service.
        request: of the flow, with its trigger id.
        subject: what the run is about; one run at a time is.
        by_automation: whether Prefect says that an automation of ours made the run.

    Raises:
        PolicyError: the request names a policy that is not there.
    """
    policies = load_policies(settings.policies_path)
    policy = _named(policies, request.policy, settings)

    def decision(history: Sequence[PastRun], now: datetime) -> Decision:
        busy = next((run for run in history if run.model == subject and run.in_flight), None)
        if busy is not None:
            decided = Decision(fire=False, reason=f"run {busy.trigger_id} of {subject} is in flight")
        elif policy is None:
            return Decision(fire=True, reason="asked for by a person")
        else:
            decided = _decide(settings, policies, policy, request, history, now, by_automation)
        if policy is not None and not decided.fire:
            with PolicyStore(policies_file(settings)) as store:
                Decisions(store).amend(request.trigger_id or "", "held", decided.reason, now)
        return decided

    return decision


def _named(policies: Sequence[Policy], name: str | None, settings: Settings) -> Policy | None:
    if name is None:
        return None
    for policy in policies:
        if policy.name == name:
            return policy
    raise PolicyError(
        f"There is no policy {name!r} in {settings.policies_path}.",
        safe="nothing was begun.",
        next_step="see `eucentric policy ls`.",
    )


def _decide(
    settings: Settings,
    policies: Sequence[Policy],
    policy: Policy,
    request: _Request,
    history: Sequence[PastRun],
    now: datetime,
    by_automation: bool,
) -> Decision:
    with PolicyStore(policies_file(settings)) as store:
        books, off = Decisions(store), Switches(store).why_off(policy)
        circumstances = Circumstances(now=now, history=history, event=request.event, switched_off=off)
        if books.fired_by(request.trigger_id or "") == policy.name:
            return may_run(policy, circumstances)
        if books.known(policy.name, request.trigger_id or ""):
            return Decision(fire=False, reason="the policy's engine has decided about this event")
        if not by_automation or request.event is None or why_resident(policy, policies) is not None:
            return _for_a_person(policy, circumstances)
        _, ruling = advance(policy, PolicyState(), circumstances)
        if ruling is None:
            return Decision(fire=False, reason=f"{request.event.kind} does not concern policy {policy.name}")
        _write_down(books, policy, ruling, request, now)
        return Decision(fire=ruling.status == "fired", reason=ruling.reason)


def _for_a_person(policy: Policy, circumstances: Circumstances) -> Decision:
    if policy.guards.approval is not None:
        return Decision(
            fire=False, reason=f"policy {policy.name} asks for approval, and its engine did not fire"
        )
    return may_run(policy, circumstances)


def _write_down(books: Decisions, policy: Policy, ruling: Ruling, request: _Request, now: datetime) -> None:
    fired = ruling.status == "fired"
    books.record(
        policy.name,
        ruling,
        now,
        event_kind=None if request.event is None else request.event.kind,
        trigger_id=request.trigger_id if fired else None,
        begins_a_run=True if fired else None,
    )
