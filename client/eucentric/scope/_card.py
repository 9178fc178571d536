"""What a notebook shows of an instrument."""

from __future__ import annotations

from eucentric_core import Capabilities, EucentricError, LeaseStatus
from eucentric_core.vocabulary import InstrumentState

from ..display import badges_of, card, facts

__all__ = ["scope_card"]


def scope_card(
    capabilities: Capabilities, state: InstrumentState | EucentricError, lease: LeaseStatus | None = None
) -> str:
    """An instrument as an HTML table; an instrument that does not answer says so and what to do."""
    if isinstance(state, EucentricError):
        rows = [("no answer", state.what), ("safe", state.safe), ("next", state.next_step)]
    else:
        rows = facts(state, lease or LeaseStatus(holder=None, epoch=0, remaining_s=0))
    return card(capabilities.instrument, rows, subtitle=capabilities.model, badges=badges_of(capabilities))
