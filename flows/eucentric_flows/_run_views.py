"""What a run looks like to people and programs that read the record."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import ErrorReport, FrozenModel, UtcDatetime

__all__ = ["Outcome", "RunState", "RunView", "StageView", "TriggeredBy"]

TriggeredBy = Literal["policy", "manual"]
"""`policy` only if the orchestrator says that an automation made the run."""

Outcome = Literal["promoted", "rejected", "held", "failed"]
"""`rejected`: the challenger failed its gates. `held`: the run was not admitted, or could not go on."""

RunState = Literal["running", "lost", "promoted", "rejected", "held", "failed"]
"""`lost`: neither ended nor heard of for longer than a heartbeat may take."""


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


class RunView(FrozenModel):
    """One run, with its stages in the order in which they began."""

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

    @property
    def stage_s(self) -> dict[str, float]:
        """Duration of each finished stage, summed over attempts (s)."""
        total: dict[str, float] = {}
        for stage in self.stages:
            if stage.duration_s is not None:
                total[stage.name] = total.get(stage.name, 0.0) + stage.duration_s
        return total
