"""Whether a shard may be deleted: a pure decision on what is known of it, with its reason in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from eucentric_core import FrozenModel, RetentionRule, UtcDatetime

__all__ = ["Decision", "RetentionCase", "copies_wanted", "decide"]


class RetentionCase(FrozenModel):
    """Everything the decision about one shard rests on.

    Args:
        complete: the data set's manifest and every shard it lists are here; `manifested`: it lists this one.
        completed_utc: when the data set was complete.
        receipted: whether the sender was told that the shard is here.
        hold: a person's reason to keep the data set.
        referenced_by: runs, models and exports that name the data set.
        copies_confirmed: archives whose copy was found to have the right hash just now.
    """

    instrument: str
    material: str | None
    simulated: bool
    tags: tuple[str, ...]
    complete: bool
    completed_utc: UtcDatetime | None
    manifested: bool
    receipted: bool
    hold: str | None
    referenced_by: tuple[str, ...]
    pruned: bool
    copies_confirmed: Annotated[int, Field(ge=0)]


class Decision(FrozenModel):
    """What becomes of a shard, why, and which rule says so."""

    delete: bool
    why: str
    rule: str | None = None


def _fits(rule: RetentionRule, case: RetentionCase) -> bool:
    return (
        (rule.tag is None or rule.tag in case.tags)
        and (rule.material is None or rule.material == case.material)
        and (rule.instrument is None or rule.instrument == case.instrument)
        and (rule.simulated is None or rule.simulated == case.simulated)
    )


def copies_wanted(rules: Sequence[RetentionRule], case: RetentionCase, now: datetime) -> int:
    """How many copies must be confirmed for a deletion; 0 if nothing hangs on them, so that none is read."""
    rule = next((rule for rule in rules if _fits(rule, case)), None)
    if rule is None:
        return 0
    with_them = case.model_copy(update={"copies_confirmed": rule.copies})
    return rule.copies if decide(rules, with_them, now).delete else 0


def decide(rules: Sequence[RetentionRule], case: RetentionCase, now: datetime) -> Decision:
    """Whether this shard may be deleted now. What nothing speaks about is kept.

    Args:
        rules: the site's; the first that fits counts.
        case: what is known of the shard.
        now: the present time (UTC).
    """
    for keeps, why in (
        (case.pruned, "it is pruned already"),
        (not case.complete or not case.manifested, "its data set is open"),
        (not case.receipted, "its sender has no receipt"),
        (case.hold is not None, f"it is held: {case.hold}"),
        (bool(case.referenced_by), f"it is referenced by {', '.join(case.referenced_by[:3])}"),
    ):
        if keeps:
            return Decision(delete=False, why=why)
    rule = next((rule for rule in rules if _fits(rule, case)), None)
    if rule is None:
        return Decision(delete=False, why="no rule speaks about it")
    return _by_rule(rule, case, now)


def _by_rule(rule: RetentionRule, case: RetentionCase, now: datetime) -> Decision:
    if rule.keep == "forever" or case.completed_utc is None:
        return Decision(delete=False, why="it is kept for ever", rule=rule.name)
    if rule.days is not None:
        until = case.completed_utc + timedelta(days=rule.days)
        if now < until:
            return Decision(delete=False, why=f"it is kept until {until:%Y-%m-%d %H:%M} UTC", rule=rule.name)
    copies = case.copies_confirmed
    if copies < rule.copies:
        why = f"{copies} of {rule.copies} copies are confirmed in an archive"
        return Decision(delete=False, why=why, rule=rule.name)
    reasons = [f"{rule.days:g} days are over"] if rule.days is not None else []
    reasons += [f"{copies} copies are confirmed"] if rule.copies else []
    return Decision(delete=True, why=" and ".join(reasons), rule=rule.name)
