"""One run per model at a time, whoever asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._objection import Objection

if TYPE_CHECKING:
    from .._circumstances import Circumstances
    from .._document import Policy

__all__ = ["one_in_flight"]


def one_in_flight(policy: Policy, circumstances: Circumstances) -> Objection | None:
    """See `Guard`. What begins no run waits for none."""
    if not policy.action.begins_a_run:
        return None
    for run in circumstances.history:
        if run.model == policy.model and run.in_flight:
            return Objection(f"run {run.trigger_id} of model {run.model} is in flight")
    return None
