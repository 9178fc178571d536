"""Whether a challenger may become champion: declared limits, numbers on held-out data, no side effects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field

from eucentric_core import FrozenModel
from eucentric_models import Score

__all__ = ["Comparison", "Evidence", "GateCheck", "Gates", "HoldoutScore", "Verdict", "judge"]

_Share = Annotated[float, Field(ge=0, le=1)]


class Gates(FrozenModel):
    """The limits a challenger must keep. A policy states them.

    Attributes:
        max_f1_loss_on_start: how much F1 it may lose against the champion on the start hold-out, the
            conditions the champion was made for (forgetting).
        min_f1_gain_on_recent: its F1 on the recent hold-out must exceed the champion's by more than this.
        min_class_f1: floor for every class on the recent hold-out.
        min_class_support: classes with fewer true columns than this are not held to the floor.
        max_calibration_error: bound for the expected calibration error on the recent hold-out.
        max_position_rmse_m: bound for the position error on the recent hold-out.
    """

    max_f1_loss_on_start: _Share = 0.03
    min_f1_gain_on_recent: _Share = 0.0
    min_class_f1: _Share = 0.5
    min_class_support: Annotated[int, Field(ge=1)] = 20
    max_calibration_error: _Share = 0.2
    max_position_rmse_m: Annotated[float, Field(gt=0, le=1e-9)] = 30e-12


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


class Comparison(FrozenModel):
    """Champion and challenger on the same frames. There is no champion before the first model."""

    champion: HoldoutScore | None
    challenger: HoldoutScore


class Evidence(FrozenModel):
    """What the judgement rests on: the start hold-out and frames of the present conditions."""

    start: Comparison
    recent: Comparison


class GateCheck(FrozenModel):
    """One gate with its numbers. `unit` is empty for shares."""

    name: str
    passed: bool
    measured: float | None
    limit: float
    unit: str
    sentence: str


class Verdict(FrozenModel):
    """The decision, every check behind it, and one sentence for people."""

    accepted: bool
    checks: tuple[GateCheck, ...]
    sentence: str


def judge(evidence: Evidence, gates: Gates | None = None) -> Verdict:
    """Hold a challenger against the gates. Pure: the same evidence gives the same verdict."""
    checks = tuple(_checks(evidence, gates or Gates()))
    failed = [check for check in checks if not check.passed]
    if failed:
        reasons = "; ".join(check.sentence for check in failed)
        sentence = f"Rejected, {len(failed)} of {len(checks)} gates failed: {reasons}."
    else:
        recent = evidence.recent
        before = "no champion" if recent.champion is None else f"{recent.champion.f1:.3f}"
        sentence = (
            f"Accepted, all {len(checks)} gates passed: "
            f"F1 on recent frames {recent.challenger.f1:.3f} (champion: {before})."
        )
    return Verdict(accepted=not failed, checks=checks, sentence=sentence)


def _checks(evidence: Evidence, gates: Gates) -> Iterator[GateCheck]:
    start, recent = evidence.start, evidence.recent
    if start.champion is not None:
        floor = start.champion.f1 - gates.max_f1_loss_on_start
        yield _check("no forgetting", "F1 on the start hold-out", start.challenger.f1, ">=", floor)
    if recent.champion is not None:
        floor = recent.champion.f1 + gates.min_f1_gain_on_recent
        yield _check("better on recent frames", "F1 on recent frames", recent.challenger.f1, ">", floor)
    for name, f1 in sorted(recent.challenger.class_f1.items()):
        if recent.challenger.class_support.get(name, 0) >= gates.min_class_support:
            yield _check(
                f"class floor: {name}", f"F1 of {name} on recent frames", f1, ">=", gates.min_class_f1
            )
    yield _check(
        "calibration",
        "calibration error on recent frames",
        recent.challenger.calibration_error,
        "<=",
        gates.max_calibration_error,
    )
    yield _check(
        "position error",
        "position error on recent frames",
        recent.challenger.position_rmse_m,
        "<=",
        gates.max_position_rmse_m,
        unit="m",
    )


def _check(
    name: str, what: str, measured: float | None, relation: str, limit: float, unit: str = ""
) -> GateCheck:
    if measured is None:
        passed = False
    else:
        passed = {">=": measured >= limit, ">": measured > limit, "<=": measured <= limit}[relation]
    said = "unknown, nothing was found" if measured is None else _readable(measured, unit)
    must = {">=": "at least", ">": "above", "<=": "at most"}[relation]
    return GateCheck(
        name=name,
        passed=passed,
        measured=measured,
        limit=limit,
        unit=unit,
        sentence=f"{what} is {said}, must be {must} {_readable(limit, unit)}",
    )


def _readable(value: float, unit: str) -> str:
    return f"{value * 1e12:.1f} pm" if unit == "m" else f"{value:.3f}"
