"""A pause after every run of a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._objection import Objection

if TYPE_CHECKING:
    from .._circumstances import Circumstances
    from .._document import Policy

__all__ = ["cooling_down"]


def cooling_down(policy: Policy, circumstances: Circumstances) -> Objection | None:
    """See `Guard`."""
    cooldown_s = policy.guards.cooldown_s
    for run in circumstances.runs_of(policy.name):
        left_s = cooldown_s - (circumstances.now - run.last_active_utc).total_seconds()
        if left_s > 0:
            return Objection(f"cooldown of {cooldown_s:g} s, {left_s:.0f} s of it left")
    return None
