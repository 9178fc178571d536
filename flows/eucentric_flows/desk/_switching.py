"""Policies on and off, all of them paused, and one asked for by a person."""

from __future__ import annotations

from eucentric_core import FrozenModel, PolicyRequested, Settings, utc_now

from .._event_outbox import EventOutbox, outbox_path
from ..engine import PolicyStore, Switch, Switches, policies_file
from ..policy import Policy, PolicyError, explain, load_policies, why_resident
from ._files import find_policy

__all__ = [
    "PolicyStanding",
    "fire_policy",
    "pause_policies",
    "policy_pause",
    "policy_standings",
    "resume_policies",
    "switch_policy",
]


class PolicyStanding(FrozenModel):
    """How a policy stands.

    Attributes:
        policy: as its file declares it.
        why_off: why it may not act, as a clause; None if it may.
        why_engine: why the engine decides about it, and not Prefect by itself; None where Prefect does.
        explanation: what it does, one sentence.
    """

    policy: Policy
    why_off: str | None
    why_engine: str | None
    explanation: str


def policy_standings(settings: Settings) -> tuple[PolicyStanding, ...]:
    """All policies of a hub, by file name.

    Raises:
        PolicyError: a file is bad.
    """
    policies = load_policies(settings.policies_path)
    with PolicyStore(policies_file(settings)) as store:
        switches = Switches(store)
        return tuple(
            PolicyStanding(
                policy=policy,
                why_off=switches.why_off(policy),
                why_engine=why_resident(policy, policies),
                explanation=explain(policy),
            )
            for policy in policies
        )


def switch_policy(settings: Settings, name: str, *, on: bool, by: str, because: str = "") -> None:
    """Switch a policy on or off; what a person switched last holds, whatever its file says.

    Raises:
        PolicyError: there is no such policy.
    """
    policy = find_policy(settings, name)
    switch = Switch(turned_on=on, person=by, reason=because, at_utc=utc_now())
    with PolicyStore(policies_file(settings)) as store:
        Switches(store).turn(policy.name, switch)


def pause_policies(settings: Settings, *, by: str, because: str = "") -> None:
    """Let no policy act until `resume_policies`; runs that have begun go on."""
    with PolicyStore(policies_file(settings)) as store:
        Switches(store).pause_all(by, because, utc_now())


def policy_pause(settings: Settings) -> Switch | None:
    """Who paused all policies, when and why; None where they are not paused."""
    with PolicyStore(policies_file(settings)) as store:
        return Switches(store).pause()


def resume_policies(settings: Settings, *, by: str) -> None:
    """End the pause: every policy is again as it was switched itself."""
    with PolicyStore(policies_file(settings)) as store:
        Switches(store).resume_all(by, utc_now())


def fire_policy(
    settings: Settings, name: str, *, by: str, session: str | None = None, dataset_id: str | None = None
) -> str:
    """Ask for what a policy with a manual trigger does. Its guards hold all the same. Returns the event's id.

    Raises:
        PolicyError: there is no such policy, or it has no manual trigger.
    """
    policy = find_policy(settings, name)
    event = PolicyRequested(
        source="hub", policy=policy.name, requested_by=by, session=session, dataset_id=dataset_id
    )
    if event.kind not in policy.trigger.hears:
        raise PolicyError(
            f"Policy {name} has no manual trigger.",
            safe="nothing was asked for.",
            next_step="add one beside its own: kind = 'any' with of = [{ kind = 'manual' }, ...].",
        )
    outbox = EventOutbox(outbox_path(settings))
    try:
        outbox.add(event)
    finally:
        outbox.close()
    return event.id
