"""A person has to say yes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from .._wording import duration
from ._objection import Objection

if TYPE_CHECKING:
    from .._circumstances import Circumstances
    from .._document import Policy

__all__ = ["not_approved"]


def not_approved(policy: Policy, circumstances: Circumstances) -> Objection | None:
    """See `Guard`."""
    approval = policy.guards.approval
    if approval is None or circumstances.approved_by is not None:
        return None
    return Objection(
        f"a person has to approve within {duration(approval.within_s)}",
        circumstances.now + timedelta(seconds=approval.within_s),
        approval=True,
    )
