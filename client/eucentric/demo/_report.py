"""The demo's outcome: one object for programs, one table for people. All of it is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from eucentric_core import FrozenModel

__all__ = ["DemoReport", "Phase", "render"]

_Fraction = Annotated[float, Field(ge=0, le=1)]


class Phase(FrozenModel):
    """What the edge answered in one phase of the story.

    Precision, recall, F1 (position within tolerance *and* class) and position error are None where
    the frames carry no ground truth.
    """

    frames: Annotated[int, Field(ge=1)]
    detections_per_frame: Annotated[float, Field(ge=0)]
    precision: _Fraction | None
    recall: _Fraction | None
    f1: _Fraction | None
    position_error_pm: Annotated[float, Field(ge=0)] | None
    drift_score: Annotated[float, Field(ge=0)]
    uncertainty: _Fraction
    model_version: Annotated[int, Field(ge=1)]


class DemoReport(FrozenModel):
    """What `eucentric demo --json` prints.

    The `f1_*` values are None where the frames carry no ground truth (recorded files). `frames_lost`
    counts acquisitions that were published and are not in the data repository at the end.
    `drift_to_new_model_s` is the time from the edge's drift event to the first frame that the new
    champion answered.
    """

    closed_loop: bool
    outcome: str
    triggered_by: str | None
    instrument: str
    simulated: bool
    seed: int
    f1_initial: _Fraction | None
    f1_drifted: _Fraction | None
    f1_recovered: _Fraction | None
    position_error_pm_recovered: float | None
    phases: dict[str, Phase]
    model_version: Annotated[int, Field(ge=1)]
    frames_published: Annotated[int, Field(ge=0)]
    frames_received: Annotated[int, Field(ge=0)]
    frames_recorded: Annotated[int, Field(ge=0)]
    frames_lost: Annotated[int, Field(ge=0)]
    swap_dropped_frames: Annotated[int, Field(ge=0)] | None
    latency_p50_ms: Annotated[float, Field(ge=0)]
    latency_p99_ms: Annotated[float, Field(ge=0)]
    drift_to_new_model_s: float | None
    stages: dict[str, float]
    total_s: Annotated[float, Field(ge=0)]
    picture: Path | None


def _number(value: float | None, pattern: str) -> str:
    return "-" if value is None else format(value, pattern)


def _phase_table(report: DemoReport) -> Table:
    table = Table(title="Detection (drift score 1 = edge of what the model knows)", title_justify="left")
    table.add_column("phase")
    for column in ("model", "frames", "found/frame", "precision", "recall", "F1", "position error", "drift"):
        table.add_column(column, justify="right")
    for name, phase in report.phases.items():
        error = _number(phase.position_error_pm, ".1f")
        table.add_row(
            name,
            f"v{phase.model_version}",
            str(phase.frames),
            f"{phase.detections_per_frame:.0f}",
            _number(phase.precision, ".3f"),
            _number(phase.recall, ".3f"),
            _number(phase.f1, ".3f"),
            error if error == "-" else f"{error} pm",
            f"{phase.drift_score:.2f}",
        )
    return table


def _stage_table(report: DemoReport) -> Table:
    table = Table(title="Time of each stage", title_justify="left")
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    for name, seconds in report.stages.items():
        table.add_row(name, f"{seconds:.1f}")
    if report.drift_to_new_model_s is not None:
        table.add_row("drift reported to first frame of the new model", f"{report.drift_to_new_model_s:.1f}")
    table.add_row("whole demo", f"{report.total_s:.1f}", style="bold")
    return table


def _frame_table(report: DemoReport) -> Table:
    table = Table(title="Frames", title_justify="left", show_header=False)
    table.add_row("published by the microscope", str(report.frames_published))
    table.add_row("answered by the edge", str(report.frames_received))
    table.add_row("recorded and registered", str(report.frames_recorded))
    table.add_row("lost", str(report.frames_lost))
    if report.swap_dropped_frames is not None:
        table.add_row("dropped by the model swap", str(report.swap_dropped_frames))
    latency = f"{report.latency_p50_ms:.0f} / {report.latency_p99_ms:.0f} ms"
    table.add_row("edge latency p50 / p99", latency)
    return table


def render(report: DemoReport) -> RenderableType:
    """The report as tables for a terminal."""
    sample = "SIMULATED" if report.simulated else "recorded files"
    style = "bold green" if report.closed_loop else "bold yellow"
    headline = Text(f"{report.outcome} [{report.instrument}, {sample}, seed {report.seed}]", style=style)
    parts: list[RenderableType] = [headline, _phase_table(report), _frame_table(report), _stage_table(report)]
    if report.picture is not None:
        parts.append(Text(f"Picture: {report.picture}"))
    return Group(*parts)
