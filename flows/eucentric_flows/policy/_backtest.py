"""What a policy would have done: the same pure functions over events that were recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from eucentric_core import AnyEvent, FrozenModel, ModelPromoted, UtcDatetime

from ._circumstances import ChampionSince, Circumstances, PastRun
from ._decide import advance, next_due_utc, reconsider
from ._document import Policy
from ._ruling import Answer, PolicyState, Ruling, Status

__all__ = ["Backtest", "Firing", "Recorded", "backtest"]

_MOST_ALARMS = 100_000
_APPROVER = "the back-test"


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event and when it reached the hub, which may be later than it occurred."""

    received_utc: datetime
    event: AnyEvent


class Firing(FrozenModel):
    """One thing that the policy would have decided."""

    at_utc: UtcDatetime
    occurrence: str
    event_kind: str | None
    status: Status
    reason: str


class Backtest(FrozenModel):
    """What a policy would have done in a period.

    Attributes:
        events: how many were looked at.
        decisions: in the order of their time.
        node_hours: that the runs would have used at their assumed length.
    """

    policy: str
    begin_utc: UtcDatetime
    end_utc: UtcDatetime
    events: int
    decisions: tuple[Firing, ...]
    node_hours: float

    @property
    def counts(self) -> Mapping[Status, int]:
        """How many decisions of each kind."""
        counted: dict[Status, int] = {}
        for decision in self.decisions:
            counted[decision.status] = counted.get(decision.status, 0) + 1
        return counted


@dataclass
class _Replay:
    """The hub as it would have been."""

    policy: Policy
    run_s: float
    approve: bool
    state: PolicyState = field(default_factory=PolicyState)
    runs: list[tuple[str, datetime]] = field(default_factory=list)
    champions: dict[str, ChampionSince] = field(default_factory=dict)
    seen: dict[str, AnyEvent] = field(default_factory=dict)
    decisions: list[Firing] = field(default_factory=list)

    def circumstances(self, now: datetime, event: AnyEvent | None = None) -> Circumstances:
        length = timedelta(seconds=self.run_s)
        history = [
            PastRun(
                trigger_id=trigger_id,
                policy=self.policy.name,
                model=self.policy.model,
                admitted=True,
                started_utc=started,
                ended_utc=started + length if started + length <= now else None,
                alive=True,
                busy_s=min(self.run_s, (now - started).total_seconds()) if self.trains else 0.0,
            )
            for trigger_id, started in self.runs
        ]
        return Circumstances(
            now=now, history=history, champions=self.champions, event=event, recall=self.seen.get
        )

    @property
    def trains(self) -> bool:
        return self.policy.action.node_hours_at_most > 0

    def take(self, recorded: Recorded) -> None:
        event = recorded.event
        if event.id in self.seen:
            return
        self.seen[event.id] = event
        if isinstance(event, ModelPromoted):
            self.champions[event.model_name] = ChampionSince(
                version=event.model_version, promoted_utc=event.occurred_utc
            )
        self.state, ruling = advance(
            self.policy, self.state, self.circumstances(recorded.received_utc, event)
        )
        self.note(ruling, recorded.received_utc)

    def alarm(self, now: datetime) -> None:
        self.state, ruling = reconsider(self.policy, self.state, self.circumstances(now))
        self.note(ruling, now)
        self.state, ruling = advance(self.policy, self.state, self.circumstances(now))
        self.note(ruling, now)

    def note(self, ruling: Ruling | None, now: datetime) -> None:
        if ruling is None:
            return
        event = self.seen.get(ruling.occurrence)
        kind = None if event is None else event.kind
        self.decisions.append(
            Firing(
                at_utc=now,
                occurrence=ruling.occurrence,
                event_kind=kind,
                status=ruling.status,
                reason=ruling.reason,
            )
        )
        if ruling.status == "fired":
            self.runs.append((ruling.occurrence, now))
        elif ruling.status == "awaiting" and self.approve:
            answer = Answer(approved=True, by=_APPROVER)
            self.state, approved = reconsider(self.policy, self.state, self.circumstances(now), answer)
            self.note(approved, now)


def backtest(
    policy: Policy,
    events: Iterable[Recorded],
    *,
    begin: datetime,
    end: datetime,
    run_s: float,
    approve: bool = True,
) -> Backtest:
    """What the policy would have decided from `begin` to `end`, if nothing else had run.

    Args:
        policy: which one; it counts as enabled.
        events: in the order of their arrival; the same event a second time does not count.
        begin: in UTC.
        end: in UTC.
        run_s: how long each of its runs would have taken.
        approve: whether a person would have said yes at once, or not answered.
    """
    replay = _Replay(policy, run_s, approve)
    # The first look at the clock is where a schedule begins.
    replay.alarm(begin)
    counted, alarms = 0, 0

    def until(now: datetime) -> None:
        nonlocal alarms
        while alarms < _MOST_ALARMS:
            due = next_due_utc(policy, replay.state)
            if due is None or due > now:
                return
            alarms += 1
            before = replay.state
            replay.alarm(due)
            if replay.state == before:
                return

    for recorded in events:
        if not begin <= recorded.received_utc <= end:
            continue
        until(recorded.received_utc)
        replay.take(recorded)
        counted += 1
    until(end)
    hours = len(replay.runs) * run_s * policy.action.nodes / 3600 if replay.trains else 0.0
    return Backtest(
        policy=policy.name,
        begin_utc=begin,
        end_utc=end,
        events=counted,
        decisions=tuple(replay.decisions),
        node_hours=hours,
    )
