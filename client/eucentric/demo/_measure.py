"""From what was seen to the report. Pure: the same observations give the same report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from eucentric_flows import RunView

from ._observer import Answer
from ._report import DemoReport, Phase
from ._story import DemoOptions

__all__ = ["headline", "measure", "swap_dropped_frames"]


def swap_dropped_frames(answers: Sequence[Answer]) -> int | None:
    """Frames between the last answer of one model version and the first of the next; None without a swap."""
    ordered = sorted(answers, key=lambda answer: answer.result.sequence)
    gaps = [
        after.result.sequence - before.result.sequence - 1
        for before, after in pairwise(ordered)
        if before.result.model_version != after.result.model_version
    ]
    return sum(gaps) if gaps else None


def measure(
    *,
    options: DemoOptions,
    simulated: bool,
    run: RunView | None,
    phases: Mapping[str, Phase],
    answers: Sequence[Answer],
    frames_published: int,
    frames_recorded: int,
    stages: Mapping[str, float],
    total_s: float,
) -> DemoReport:
    """The report of one demo.

    Args:
        options: what was asked for.
        simulated: what the instrument says of itself.
        run: the retraining; None if no policy saw a reason for one.
        phases: figures by phase, in the order of the story.
        answers: every answer of the edge.
        frames_published: acquisitions of the microscope.
        frames_recorded: acquisitions in the data repository at the end.
        stages: seconds by stage.
        total_s: seconds of the whole demo.
    """
    first, last = next(iter(phases.values())), list(phases.values())[-1]
    drifted = phases.get("after drift")
    recovered = run is not None and run.version is not None and last.model_version == run.version
    new = next((a.result for a in answers if a.result.model_version != first.model_version), None)
    latency_ms = np.array([answer.result.latency_s for answer in answers]) * 1e3
    p50_ms, p99_ms = np.percentile(latency_ms, [50, 99]).tolist()
    return DemoReport(
        closed_loop=recovered and run is not None and run.triggered_by == "policy",
        outcome=_outcome(run, recovered=recovered),
        triggered_by=None if run is None else run.triggered_by,
        instrument=options.instrument,
        simulated=simulated,
        seed=options.seed,
        f1_initial=first.f1,
        f1_drifted=None if drifted is None else drifted.f1,
        f1_recovered=last.f1 if recovered else None,
        position_error_pm_recovered=last.position_error_pm if recovered else None,
        phases=dict(phases),
        model_version=last.model_version,
        frames_published=frames_published,
        frames_received=len({answer.result.sequence for answer in answers}),
        frames_recorded=frames_recorded,
        frames_lost=max(0, frames_published - frames_recorded),
        swap_dropped_frames=swap_dropped_frames(answers),
        latency_p50_ms=p50_ms,
        latency_p99_ms=p99_ms,
        drift_to_new_model_s=None
        if run is None or new is None
        else (new.acquired_utc - run.requested_utc).total_seconds(),
        stages=dict(stages),
        total_s=round(total_s, 3),
        picture=options.picture,
    )


def _outcome(run: RunView | None, *, recovered: bool) -> str:
    if run is None:
        return "No policy saw a reason to retrain; the champion keeps serving."
    if recovered:
        return f"The loop closed: version {run.version} was retrained, judged, signed and swapped in."
    return f"A retraining was started by {run.triggered_by} and ended {run.state}: {run.reason}"


def headline(report: DemoReport) -> str:
    """Title of the picture."""
    label = "SIMULATED" if report.simulated else "recorded files"
    return f"{report.outcome}\n{report.instrument} ({label}), seed {report.seed}"
