"""What a run looks like to people and programs that read the record."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import ErrorReport, FrozenModel, UtcDatetime, trace_id_of

__all__ = ["RunState", "RunView", "StageView", "TriggeredBy", "WaitView"]

TriggeredBy = Literal["policy", "manual"]
"""`policy` only if the orchestrator says that an automation made the run."""

RunState = Literal["running", "lost", "promoted", "rejected", "done", "held", "cancelled", "failed"]
"""`lost`: neither ended nor heard of for longer than a heartbeat may take."""

SILENT_AFTER_S = 10.0
"""A heartbeat older than this is worth a word; it is due every 3 s."""


class StageView(FrozenModel):
    """One stage of one attempt."""

    name: str
    attempt: Annotated[int, Field(ge=1)]
    started_utc: UtcDatetime
    ended_utc: UtcDatetime | None
    message: str
    error: ErrorReport | None

    @property
    def duration_s(self) -> float | None:
        """How long it took; None while it runs."""
        return None if self.ended_utc is None else (self.ended_utc - self.started_utc).total_seconds()


class WaitView(FrozenModel):
    """A time for which a stage waited for something that it named."""

    stage: str
    attempt: Annotated[int, Field(ge=1)]
    reason: str
    began_utc: UtcDatetime
    ended_utc: UtcDatetime | None

    def duration_s(self, now_utc: datetime) -> float:
        """How long it lasted, or has lasted."""
        return max(0.0, ((self.ended_utc or now_utc) - self.began_utc).total_seconds())


class RunView(FrozenModel):
    """One run, with its stages in the order in which they began.

    `model` is what it is about: a model, or an instrument for runs that acquire. `resumes` counts how often
    the service went on with it by itself since a person last had a hand in it. `first_answer_utc` is when
    the edge answered its first frame with the version that the run led to.
    """

    trigger_id: str
    kind: str
    policy: str | None
    model: str
    triggered_by: TriggeredBy
    flow_run_id: str | None
    attempt: Annotated[int, Field(ge=1)]
    state: RunState
    reason: str
    version: int | None
    requested_utc: UtcDatetime
    started_utc: UtcDatetime
    ended_utc: UtcDatetime | None
    heartbeat_age_s: Annotated[float, Field(ge=0)]
    stages: tuple[StageView, ...]
    request: dict[str, object]
    waits: tuple[WaitView, ...] = ()
    cancel_utc: UtcDatetime | None = None
    cancelled_by: str | None = None
    resumed_utc: UtcDatetime | None = None
    resumes: Annotated[int, Field(ge=0)] = 0
    first_answer_utc: UtcDatetime | None = None

    @property
    def trace_id(self) -> str:
        """Under which name logs, spans and the steering audit know it."""
        return trace_id_of(self.trigger_id)

    @property
    def asked_by(self) -> str:
        """Who or what wanted it, in words: `policy retrain-on-drift`, `ana`, `a person`."""
        if self.triggered_by == "policy":
            return f"policy {self.policy}"
        return str(self.request.get("requested_by") or "a person")

    @property
    def over(self) -> bool:
        """Whether it has ended, one way or another."""
        return self.state not in ("running", "lost")

    @property
    def doing(self) -> StageView | None:
        """The stage that is under way."""
        if self.over:
            return None
        open_stages = [stage for stage in self.stages if stage.ended_utc is None]
        return open_stages[-1] if open_stages and open_stages[-1].attempt == self.attempt else None

    @property
    def waiting(self) -> WaitView | None:
        """What it waits for at present."""
        if self.over or not self.waits or self.waits[-1].ended_utc is not None:
            return None
        return self.waits[-1] if self.waits[-1].attempt == self.attempt else None

    @property
    def stage_s(self) -> dict[str, float]:
        """Duration of each finished stage, summed over attempts (s)."""
        total: dict[str, float] = {}
        for stage in self.stages:
            if stage.duration_s is not None:
                total[stage.name] = total.get(stage.name, 0.0) + stage.duration_s
        return total
