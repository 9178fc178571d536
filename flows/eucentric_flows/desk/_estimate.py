"""What a run would do, and what it would take, from what the record knows. Pure; nothing is started."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from eucentric_core import FrozenModel, Settings

from ..catalogue import FlowSpec
from ..policy import RetrainAction
from ..runs import RunView, duration_words

__all__ = ["FlowEstimate", "estimate_flow", "estimate_lines"]

_RECENT = 5
_COMPUTING = ("train", "score")


class FlowEstimate(FrozenModel):
    """What a run would do and take.

    Attributes:
        flow: which.
        subject: the model or instrument that it is about.
        does: one sentence.
        held_by: trigger id of a run about the same thing that is under way; this one would be held.
        runs: how many earlier runs the figures below rest on; 0 where there is none.
        usual_s: median length of those; None without any.
        last_s: length of the last one.
        stage_s: how long each stage took then, in its order.
        waited_s: how much of the last one was waiting.
        node_hours: that it usually takes; None where it takes none.
        node_hours_at_most: that it may take.
    """

    flow: str
    subject: str
    does: str
    held_by: str | None
    runs: int
    usual_s: float | None
    last_s: float | None
    stage_s: dict[str, float]
    waited_s: float
    node_hours: float | None
    node_hours_at_most: float | None


def estimate_flow(
    settings: Settings,
    spec: FlowSpec[Any],
    request: Any,
    runs: Sequence[RunView],
    *,
    action: RetrainAction | None = None,
) -> FlowEstimate:
    """Look at earlier runs of the same flow, of the same model or instrument where there are some.

    Args:
        settings: of the hub.
        spec: the flow.
        request: what would be asked for.
        runs: that the record knows, newest first.
        action: what a policy declares, where a retraining is asked for in its name.
    """
    subject = spec.subject(settings, request)
    trains = spec.name == "retrain"
    action = (action or RetrainAction()) if trains else None
    ended = [run for run in runs if run.kind == spec.name and run.state in ("done", "promoted", "rejected")]
    alike = [run for run in ended if run.model == subject] or ended
    alike = alike[:_RECENT]
    last = alike[0] if alike else None
    in_flight = (run.trigger_id for run in runs if run.model == subject and run.state == "running")
    computing_s = [sum(run.stage_s.get(name, 0.0) for name in _COMPUTING) for run in alike]
    return FlowEstimate(
        flow=spec.name,
        subject=subject,
        does=spec.summary if action is None else f"{_capital(action.phrase(subject))}.",
        held_by=next(in_flight, None),
        runs=len(alike),
        usual_s=statistics.median(_length_s(run) for run in alike) if alike else None,
        last_s=None if last is None else _length_s(last),
        stage_s={} if last is None else last.stage_s,
        waited_s=0.0 if last is None else _waited_s(last),
        node_hours=statistics.median(computing_s) * action.nodes / 3600
        if action is not None and computing_s
        else None,
        node_hours_at_most=None if action is None else action.node_hours_at_most,
    )


def estimate_lines(estimate: FlowEstimate) -> list[str]:
    """The estimate for people."""
    lines = [estimate.does, f"It is about {estimate.subject}."]
    if estimate.usual_s is None or estimate.last_s is None:
        lines.append(f"No {estimate.flow} has come to its end here yet: how long it takes is not known.")
    else:
        stages = ", ".join(f"{name} {duration_words(took)}" for name, took in estimate.stage_s.items())
        waited = f", {duration_words(estimate.waited_s)} of it waiting" if estimate.waited_s >= 1 else ""
        lines.append(
            f"It usually takes {duration_words(estimate.usual_s)} (median of {estimate.runs}); the last one "
            f"took {duration_words(estimate.last_s)}{waited}: {stages or 'no stages'}."
        )
    if estimate.node_hours_at_most is not None:
        usual = "" if estimate.node_hours is None else f"usually {estimate.node_hours:.2g} node-hours, "
        lines.append(f"Computing: {usual}at most {estimate.node_hours_at_most:.2g} node-hours.")
    if estimate.held_by is not None:
        lines.append(
            f"Run {estimate.held_by} about {estimate.subject} is under way: one runs at a time, "
            "so this one would be held."
        )
    return lines


def _length_s(run: RunView) -> float:
    return 0.0 if run.ended_utc is None else (run.ended_utc - run.started_utc).total_seconds()


def _waited_s(run: RunView) -> float:
    return sum(wait.duration_s(wait.ended_utc) for wait in run.waits if wait.ended_utc is not None)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
