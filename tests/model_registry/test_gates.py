"""Which challengers become champion."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eucentric_model_registry import Comparison, Evidence, Gates, HoldoutScore, judge
from eucentric_models import Score
from eucentric_models.metrics import ClassCounts

GOOD: dict[str, Any] = {
    "f1": 0.9,
    "precision": 0.9,
    "recall": 0.9,
    "position_rmse_m": 12e-12,
    "calibration_error": 0.05,
    "class_f1": {"metal": 0.95, "dopant": 0.8},
    "class_support": {"metal": 400, "dopant": 40},
    "frames": 8,
}


def score(**changes: Any) -> HoldoutScore:
    return HoldoutScore(**{**GOOD, **changes})


def evidence(*, start: float = 0.9, recent: float = 0.9, **changes: Any) -> Evidence:
    """Champion with F1 0.92 on the start hold-out and 0.6 on recent frames, against a challenger."""
    return Evidence(
        start=Comparison(champion=score(f1=0.92), challenger=score(f1=start)),
        recent=Comparison(champion=score(f1=0.6), challenger=score(f1=recent, **changes)),
    )


def failed(evidence: Evidence, gates: Gates | None = None) -> list[str]:
    verdict = judge(evidence, gates)
    assert verdict.accepted == all(check.passed for check in verdict.checks)
    return [check.name for check in verdict.checks if not check.passed]


def test_a_better_challenger_is_accepted_and_the_sentence_says_why() -> None:
    verdict = judge(evidence())
    assert verdict.accepted
    assert verdict.sentence == "Accepted, all 6 gates passed: F1 on recent frames 0.900 (champion: 0.600)."


@pytest.mark.parametrize(
    ("given_evidence", "gate"),
    [
        (evidence(start=0.88), "no forgetting"),
        (evidence(recent=0.6), "better on recent frames"),
        (evidence(class_f1={"metal": 0.95, "dopant": 0.4}), "class floor: dopant"),
        (evidence(calibration_error=0.3), "calibration"),
        (evidence(position_rmse_m=40e-12), "position error"),
        (evidence(position_rmse_m=None), "position error"),
    ],
)
def test_each_gate_rejects_alone(given_evidence: Evidence, gate: str) -> None:
    assert failed(given_evidence) == [gate]


def test_the_sentence_of_a_rejection_names_every_reason_with_its_numbers() -> None:
    verdict = judge(evidence(start=0.5, position_rmse_m=40e-12))
    assert verdict.sentence == (
        "Rejected, 2 of 6 gates failed: F1 on the start hold-out is 0.500, must be at least 0.890; "
        "position error on recent frames is 40.0 pm, must be at most 30.0 pm."
    )


def test_the_margin_of_forgetting_is_declared() -> None:
    assert failed(evidence(start=0.85)) == ["no forgetting"]
    assert failed(evidence(start=0.85), Gates(max_f1_loss_on_start=0.1)) == []


def test_a_rare_class_is_not_held_to_its_floor() -> None:
    rare = evidence(class_f1={"metal": 0.95, "dopant": 0.0}, class_support={"metal": 400, "dopant": 19})
    assert failed(rare) == []


def test_the_first_model_has_no_champion_to_beat() -> None:
    alone = Evidence(
        start=Comparison(champion=None, challenger=score()),
        recent=Comparison(champion=None, challenger=score()),
    )
    verdict = judge(alone)
    assert verdict.accepted
    assert "no champion" in verdict.sentence
    assert "no forgetting" not in {check.name for check in verdict.checks}


def test_a_score_of_the_models_room_keeps_its_numbers() -> None:
    counted = Score(
        per_class={0: ClassCounts(8, 2, 0), 1: ClassCounts(1, 0, 3)}, squared_error_m2=9e-22, frames=2
    )
    named = HoldoutScore.from_score(counted, ("metal", "dopant"), calibration_error=0.1)
    assert named.class_f1 == {"metal": pytest.approx(16 / 18), "dopant": pytest.approx(0.4)}
    assert named.class_support == {"metal": 8, "dopant": 4}
    assert named.position_rmse_m == pytest.approx(1e-11)
    assert (named.f1, named.frames) == (counted.f1, 2)


shares = st.floats(0, 1)


@given(start=shares, recent=shares, calibration=shares, margin=shares)
def test_nothing_that_forgets_or_fails_to_improve_is_ever_accepted(
    start: float, recent: float, calibration: float, margin: float
) -> None:
    gates = Gates(max_f1_loss_on_start=margin)
    verdict = judge(evidence(start=start, recent=recent, calibration_error=calibration), gates)
    if verdict.accepted:
        assert start >= 0.92 - margin
        assert recent > 0.6
        assert calibration <= gates.max_calibration_error
