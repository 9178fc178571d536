"""What a decision takes into account beside the event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from eucentric_core import AnyEvent, FrozenModel, UtcDatetime

__all__ = ["ChampionSince", "Circumstances", "PastRun"]


class PastRun(FrozenModel):
    """What the guards need to know about an earlier run.

    Attributes:
        busy_s: how long its trainings have occupied nodes so far.
        outcome: how it ended; None while it runs.
    """

    trigger_id: str
    policy: str | None
    model: str
    admitted: bool
    started_utc: UtcDatetime
    ended_utc: UtcDatetime | None
    alive: bool
    outcome: str | None = None
    busy_s: Annotated[float, Field(ge=0)] = 0.0

    @property
    def in_flight(self) -> bool:
        """Whether it is being carried out; a run that was lost holds nobody back for ever."""
        return self.admitted and self.ended_utc is None and self.alive

    @property
    def last_active_utc(self) -> datetime:
        """When it ended, or else began."""
        return self.ended_utc or self.started_utc


class ChampionSince(FrozenModel):
    """Which version became champion, and when."""

    version: int
    promoted_utc: UtcDatetime


def _nothing_recalled(_event_id: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The present, as a policy sees it.

    Args:
        now: present time, in UTC.
        history: earlier runs, in any order; those that were held do not count.
        champions: by model.
        event: what the decision is about; None for a scheduled time.
        switched_off: why the policy may not act at all; None if it may.
        approved_by: who has approved this firing.
        recall: the event of an id that was seen before; None if it is not known (any more).
    """

    now: datetime
    history: Sequence[PastRun] = ()
    champions: Mapping[str, ChampionSince] = field(default_factory=dict)
    event: AnyEvent | None = None
    switched_off: str | None = None
    approved_by: str | None = None
    recall: Callable[[str], AnyEvent | None] = _nothing_recalled

    def runs_of(self, policy: str, *, within: timedelta | None = None) -> Iterator[PastRun]:
        """Admitted runs of a policy; with `within` only those that were begun or busy so recently."""
        for run in self.history:
            if not run.admitted or run.policy != policy:
                continue
            if within is None or run.started_utc > self.now - within:
                yield run
