"""Firings that await a person, and what the person says."""

from __future__ import annotations

from eucentric_core import Settings

from ..engine import Answers, DecisionView, History, PolicyStore, policies_file
from ..policy import Answer, PolicyError

__all__ = ["answer_firing", "awaiting"]

_MOST = 200


def awaiting(
    settings: Settings, *, policy: str | None = None, occurrence: str | None = None
) -> tuple[DecisionView, ...]:
    """Firings that await approval, newest first; each argument narrows them down."""
    with PolicyStore(policies_file(settings)) as store:
        return History(store).newest(
            policy=policy, occurrence=occurrence, statuses=("awaiting",), limit=_MOST
        )


def answer_firing(
    settings: Settings,
    policy: str,
    occurrence: str | None,
    *,
    approved: bool,
    by: str,
    because: str = "",
) -> str:
    """Say yes or no to a firing. The first word counts. Returns its occurrence.

    Args:
        settings: of the hub.
        policy: whose.
        occurrence: the event or scheduled time; None if only one of the policy waits.
        approved: yes or no.
        by: who says it.
        because: why; the history keeps it.

    Raises:
        PolicyError: nothing waits, several do, or somebody else has answered.
    """
    waiting = awaiting(settings, policy=policy, occurrence=occurrence)
    if len(waiting) != 1:
        what = "Nothing of" if not waiting else f"{len(waiting)} firings of"
        raise PolicyError(
            f"{what} policy {policy} awaits approval{f' under {occurrence}' if occurrence else ''}.",
            safe="nothing was changed.",
            next_step=f"see `eucentric policy history {policy}`; name the event if there are several.",
        )
    found = waiting[0].occurrence
    with PolicyStore(policies_file(settings)) as store:
        counted = Answers(store).give(policy, found, Answer(approved=approved, by=by, because=because))
    if counted.by != by or counted.approved != approved:
        said = "approved" if counted.approved else "rejected"
        raise PolicyError(
            f"{counted.by} has {said} this firing of {policy} already.",
            safe="what they said holds.",
            next_step=f"see `eucentric policy history {policy}` for what came of it.",
        )
    return found
