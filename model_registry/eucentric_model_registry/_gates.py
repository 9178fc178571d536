"""Gates of models that find atoms: F1, classes, calibration and positions on two hold-out sets."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from eucentric_core import FrozenModel
from eucentric_models import Score

from ._behaviour import BEHAVIOUR_SETS
from ._figures import Figure, Figures
from ._judge import MetricGate, Verdict, judge_figures

__all__ = ["Comparison", "Evidence", "Gates", "HoldoutScore", "judge"]

_Share = Annotated[float, Field(ge=0, le=1)]


class Gates(FrozenModel):
    """The limits a challenger must keep. A policy states them.

    The first six are for models that find atoms. `metrics` are limits on any figure of any kind of model
    (accuracy of chips, error of a spectrum, latency on the target…), in addition to them.

    Attributes:
        max_f1_loss_on_start: how much F1 it may lose against the champion on the start hold-out, the
            conditions the champion was made for (forgetting).
        min_f1_gain_on_recent: its F1 on the recent hold-out must exceed the champion's by more than this.
        min_class_f1: floor for every class on the recent hold-out.
        min_class_support: classes with fewer true columns than this are not held to the floor.
        max_calibration_error: bound for the expected calibration error on the recent hold-out.
        max_position_rmse_m: bound for the position error on the recent hold-out.
        latency_p99_ms_max: bound for the 99th percentile of the latency, measured by the edge on its own
            machine; None: the edge is not asked.
        metrics: limits on any measured figure.
    """

    max_f1_loss_on_start: _Share = 0.03
    min_f1_gain_on_recent: _Share = 0.0
    min_class_f1: _Share = 0.5
    min_class_support: Annotated[int, Field(ge=1)] = 20
    max_calibration_error: _Share = 0.2
    max_position_rmse_m: Annotated[float, Field(gt=0, le=1e-9)] = 30e-12
    latency_p99_ms_max: Annotated[float, Field(gt=0, le=1e6)] | None = None
    metrics: Annotated[tuple[MetricGate, ...], Field(max_length=64)] = ()

    @property
    def on_data(self) -> tuple[MetricGate, ...]:
        """The declared limits on figures that a recipe measures on held-out data."""
        return tuple(gate for gate in self.metrics if gate.holdout not in BEHAVIOUR_SETS)

    @property
    def on_behaviour(self) -> tuple[MetricGate, ...]:
        """The declared limits on speed, golden chips and unfamiliar frames (`measure_behaviour`)."""
        declared = tuple(gate for gate in self.metrics if gate.holdout in BEHAVIOUR_SETS)
        if self.latency_p99_ms_max is None:
            return declared
        at_the_edge = MetricGate(
            metric="latency_p99_ms",
            holdout="edge",
            at_most=self.latency_p99_ms_max,
            title="latency at the edge",
            what="99th percentile of the latency, measured at the edge,",
        )
        return (at_the_edge, *declared)

    @property
    def at_the_edge(self) -> tuple[MetricGate, ...]:
        """Those of them for which the edge has to measure."""
        return tuple(gate for gate in self.on_behaviour if gate.holdout == "edge")

    def declared(self) -> tuple[MetricGate, ...]:
        """The six limits for atoms as gates on figures, and then the others on data."""
        on_start = MetricGate(
            metric="f1",
            holdout="start",
            max_loss=self.max_f1_loss_on_start,
            title="no forgetting",
            what="F1 on the start hold-out",
        )
        on_recent = MetricGate(
            metric="f1",
            min_gain=self.min_f1_gain_on_recent,
            title="better on recent frames",
            what="F1 on recent frames",
        )
        floor = MetricGate(
            metric="class_f1.*",
            at_least=self.min_class_f1,
            min_support=self.min_class_support,
            title="class floor: {name}",
            what="F1 of {name} on recent frames",
        )
        calibration = MetricGate(
            metric="calibration_error",
            at_most=self.max_calibration_error,
            title="calibration",
            what="calibration error on recent frames",
        )
        position = MetricGate(
            metric="position_rmse_m",
            at_most=self.max_position_rmse_m,
            title="position error",
            what="position error on recent frames",
        )
        return (on_start, on_recent, floor, calibration, position, *self.on_data)


class HoldoutScore(FrozenModel):
    """How one model did on one hold-out set. `position_rmse_m` is None when it found nothing."""

    f1: _Share
    precision: _Share
    recall: _Share
    position_rmse_m: Annotated[float, Field(ge=0)] | None
    calibration_error: _Share
    class_f1: dict[str, _Share]
    class_support: dict[str, Annotated[int, Field(ge=0)]]
    frames: Annotated[int, Field(ge=1)]

    @classmethod
    def from_score(cls, score: Score, classes: tuple[str, ...], *, calibration_error: float) -> Self:
        """The score of the models room with class names in place of ids."""
        named = {classes[index]: counts for index, counts in score.per_class.items()}
        return cls(
            f1=score.f1,
            precision=score.precision,
            recall=score.recall,
            position_rmse_m=score.position_rmse_m,
            calibration_error=calibration_error,
            class_f1={name: counts.f1 for name, counts in named.items()},
            class_support={n: c.true_positives + c.false_negatives for n, c in named.items()},
            frames=score.frames,
        )

    def figures(self) -> dict[str, Figure]:
        """The same as figures, as any kind of model has them."""
        return {
            "f1": Figure(value=self.f1),
            "precision": Figure(value=self.precision),
            "recall": Figure(value=self.recall),
            "position_rmse_m": Figure(value=self.position_rmse_m, unit="m"),
            "calibration_error": Figure(value=self.calibration_error),
        } | {
            f"class_f1.{name}": Figure(value=f1, support=self.class_support.get(name, 0))
            for name, f1 in self.class_f1.items()
        }


class Comparison(FrozenModel):
    """Champion and challenger on the same frames. There is no champion before the first model."""

    champion: HoldoutScore | None
    challenger: HoldoutScore


class Evidence(FrozenModel):
    """What the judgement rests on: the start hold-out and frames of the present conditions."""

    start: Comparison
    recent: Comparison

    @property
    def challenger_figures(self) -> Figures:
        """What was measured of the challenger."""
        return Figures(
            holdouts={
                "start": self.start.challenger.figures(),
                "recent": self.recent.challenger.figures(),
            }
        )

    @property
    def champion_figures(self) -> Figures | None:
        """What was measured of the champion; None where there is none."""
        holdouts = {
            name: comparison.champion.figures()
            for name, comparison in (("start", self.start), ("recent", self.recent))
            if comparison.champion is not None
        }
        return Figures(holdouts=holdouts) if holdouts else None


def judge(evidence: Evidence, gates: Gates | None = None) -> Verdict:
    """Hold a challenger that finds atoms against the gates. Pure: same evidence, same verdict."""
    declared = (gates or Gates()).declared()
    return judge_figures(evidence.challenger_figures, evidence.champion_figures, declared)
