"""What happened long ago is no reason to act now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._wording import duration
from ._objection import Objection

if TYPE_CHECKING:
    from .._circumstances import Circumstances
    from .._document import Policy

__all__ = ["too_late"]


def too_late(policy: Policy, circumstances: Circumstances) -> Objection | None:
    """See `Guard`. An event is measured by when it occurred, whenever it arrived."""
    if circumstances.event is None:
        return None
    age_s = (circumstances.now - circumstances.event.occurred_utc).total_seconds()
    bound_s = policy.guards.max_event_age_s
    if age_s <= bound_s + _waiting_s(policy):
        return None
    return Objection(f"the event occurred {age_s:.0f} s ago, more than {duration(bound_s)}")


def _waiting_s(policy: Policy) -> float:
    # What waits because the policy says so does not grow too old by it.
    approval, quiet = policy.guards.approval, policy.guards.quiet_hours
    return (approval.within_s if approval else 0.0) + (86_400.0 if quiet else 0.0)
