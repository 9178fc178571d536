"""Gates of any kind of model: declared limits on measured figures, and the decision. No side effects."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from eucentric_core import FrozenModel, Identifier

from ._figures import Figure, FigureName, Figures, readable

__all__ = ["GateCheck", "MetricGate", "Verdict", "judge_figures", "with_behaviour"]

_Pattern = Annotated[str, Field(min_length=1, max_length=120)]
_Margin = Annotated[float, Field(ge=0)]
_HOLDS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
_UNMEASURED = Figure(value=None)
_LIMITS = ("at_least", "at_most", "max_loss", "min_gain")


class MetricGate(FrozenModel):
    """One limit on one figure, or on all whose name matches a pattern. A policy declares them.

    Exactly one of `at_least`, `at_most`, `max_loss` and `min_gain` is given. The last two compare with the
    champion's figure on the same set, and hold nobody back where there is no champion.

    Attributes:
        metric: the figure, for example `f1`, or a pattern as `class_f1.*`.
        holdout: the set it was measured on.
        better: which direction is better, for the two limits that compare.
        at_least: smallest value.
        at_most: largest value.
        max_loss: how much worse than the champion it may be.
        min_gain: it must be better than the champion by more than this.
        min_support: a figure that rests on fewer examples is not held to the limit.
        title: the gate's name in the verdict; by default figure and set.
        what: what is measured, for the sentence; by default figure and set.
    """

    metric: _Pattern
    holdout: Identifier = "recent"
    better: Literal["higher", "lower"] = "higher"
    at_least: float | None = None
    at_most: float | None = None
    max_loss: _Margin | None = None
    min_gain: _Margin | None = None
    min_support: Annotated[int, Field(ge=0)] = 0
    title: Annotated[str, Field(max_length=120)] = ""
    what: Annotated[str, Field(max_length=200)] = ""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        given = [name for name in _LIMITS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(_LIMITS)}, not {len(given)} of them")
        return self

    @property
    def compares(self) -> bool:
        """Whether it needs a champion."""
        return self.max_loss is not None or self.min_gain is not None


class GateCheck(FrozenModel):
    """One gate with its numbers. `unit` is empty for shares; no limit: there was nothing to compare with."""

    name: str
    passed: bool
    measured: float | None
    limit: float | None
    unit: str
    sentence: str


class Verdict(FrozenModel):
    """The decision, every check behind it, and one sentence for people."""

    accepted: bool
    checks: tuple[GateCheck, ...]
    sentence: str


def judge_figures(
    challenger: Figures,
    champion: Figures | None,
    gates: Sequence[MetricGate],
    *,
    headline: tuple[str, FigureName, str] = ("recent", "f1", "F1 on recent frames"),
) -> Verdict:
    """Hold a challenger against declared gates. Pure: the same figures give the same verdict.

    Args:
        challenger: what was measured of it.
        champion: the same of the model in production; None before the first one.
        gates: the limits. Without any, nobody is accepted: a decision needs a reason.
        headline: set, figure and words of the number that the sentence of an acceptance gives.
    """
    checks = tuple(check for gate in gates for check in _checks(gate, challenger, champion))
    failed = [check for check in checks if not check.passed]
    if not checks:
        return Verdict(accepted=False, checks=(), sentence="Not judged: no declared gate applies.")
    if failed:
        reasons = "; ".join(check.sentence for check in failed)
        sentence = f"Rejected, {len(failed)} of {len(checks)} gates failed: {reasons}."
        return Verdict(accepted=False, checks=checks, sentence=sentence)
    sentence = f"Accepted, all {len(checks)} gates passed"
    holdout, metric, words = headline
    if (figure := challenger.get(holdout, metric)) is not None:
        before = None if champion is None else champion.get(holdout, metric)
        said = "no champion" if before is None else before.said
        sentence += f": {words} {figure.said} (champion: {said})"
    return Verdict(accepted=True, checks=checks, sentence=f"{sentence}.")


def with_behaviour(
    verdict: Verdict, challenger: Figures, champion: Figures | None, gates: Sequence[MetricGate]
) -> Verdict:
    """A verdict on data with the gates on behaviour added: what failed there is rejected.

    Args:
        verdict: on held-out data.
        challenger: its behaviour.
        champion: that of the model in production.
        gates: on behaviour.
    """
    checks = tuple(check for gate in gates for check in _checks(gate, challenger, champion))
    failed = [check for check in checks if not check.passed]
    if not checks:
        return verdict
    everything = (*verdict.checks, *checks)
    if verdict.accepted and failed:
        reasons = "; ".join(check.sentence for check in failed)
        sentence = f"Rejected, {len(failed)} of {len(everything)} gates failed: {reasons}."
        return Verdict(accepted=False, checks=everything, sentence=sentence)
    return verdict.model_copy(update={"checks": everything})


def _checks(gate: MetricGate, challenger: Figures, champion: Figures | None) -> Iterator[GateCheck]:
    if gate.compares and champion is None:
        return
    pattern = any(sign in gate.metric for sign in "*?[")
    figures = (
        challenger.matching(gate.holdout, gate.metric)
        if pattern
        else {gate.metric: challenger.get(gate.holdout, gate.metric) or _UNMEASURED}
    )
    for metric, figure in figures.items():
        if figure.support is not None and figure.support < gate.min_support:
            continue
        if (found := _limit(gate, metric, champion)) is not None:
            yield _check(gate, metric, figure, *found)


def _limit(gate: MetricGate, metric: str, champion: Figures | None) -> tuple[str, float | None] | None:
    # None: the limit does not apply; no number: it does, but there is nothing to compare with.
    if gate.at_least is not None:
        return ">=", gate.at_least
    if gate.at_most is not None:
        return "<=", gate.at_most
    before = None if champion is None else champion.get(gate.holdout, metric)
    sign = 1.0 if gate.better == "higher" else -1.0
    if before is None:
        return ">=", None
    if before.value is None:
        # The champion does nothing there that could be lost.
        return None
    if gate.max_loss is not None:
        return (">=" if sign > 0 else "<="), before.value - sign * gate.max_loss
    return (">" if sign > 0 else "<"), before.value + sign * (gate.min_gain or 0.0)


def _check(gate: MetricGate, metric: str, figure: Figure, relation: str, limit: float | None) -> GateCheck:
    value = figure.value
    default = f"{metric} on {gate.holdout}"
    part = metric.rpartition(".")[2]
    title = gate.title.replace("{name}", part) or default
    what = gate.what.replace("{name}", part) or default
    if figure is _UNMEASURED:
        said = "unknown, it was not measured"
    else:
        said = "unknown, nothing was found" if value is None else readable(value, figure.unit)
    if limit is None:
        sentence = f"{what} is {said}, but the champion's was not measured"
        return GateCheck(
            name=title, passed=False, measured=value, limit=None, unit=figure.unit, sentence=sentence
        )
    passed = value is not None and _HOLDS[relation](value, limit)
    must = {">=": "at least", ">": "above", "<=": "at most", "<": "below"}[relation]
    return GateCheck(
        name=title,
        passed=passed,
        measured=value,
        limit=limit,
        unit=figure.unit,
        sentence=f"{what} is {said}, must be {must} {readable(limit, figure.unit)}",
    )
