"""Limits on any figure of any kind of model."""

from __future__ import annotations

import tomllib

import pytest
from pydantic import ValidationError

from eucentric_model_registry import Figure, Figures, Gates, MetricGate, judge_figures


def figures(**values: Figure | float | None) -> Figures:
    """Figures of the set `recent`."""
    return Figures(
        holdouts={
            "recent": {
                name.replace("__", "."): value if isinstance(value, Figure) else Figure(value=value)
                for name, value in values.items()
            }
        }
    )


@pytest.mark.parametrize(
    ("limit", "champion", "challenger", "passed"),
    [
        ({"at_least": 0.9}, None, 0.9, True),
        ({"at_least": 0.9}, None, 0.89, False),
        ({"at_most": 5.0}, None, 5.0, True),
        ({"at_most": 5.0}, None, 5.1, False),
        ({"max_loss": 0.02}, 0.9, 0.88, True),
        ({"max_loss": 0.02}, 0.9, 0.87, False),
        ({"max_loss": 1.0, "better": "lower"}, 10.0, 11.0, True),
        ({"max_loss": 1.0, "better": "lower"}, 10.0, 11.1, False),
        ({"min_gain": 0.01}, 0.9, 0.92, True),
        ({"min_gain": 0.0}, 0.9, 0.9, False),
        ({"min_gain": 0.5, "better": "lower"}, 10.0, 9.4, True),
        ({"min_gain": 0.5, "better": "lower"}, 10.0, 9.5, False),
        ({"at_least": 0.9}, None, None, False),
        ({"min_gain": 0.0}, 0.9, None, False),
    ],
)
def test_each_kind_of_limit(
    limit: dict[str, float], champion: float | None, challenger: float | None, passed: bool
) -> None:
    before = None if champion is None else figures(accuracy=champion)
    gate = MetricGate.model_validate({"metric": "accuracy", **limit})
    verdict = judge_figures(figures(accuracy=challenger), before, [gate])
    assert verdict.accepted is passed
    assert [check.passed for check in verdict.checks] == [passed]


def test_a_figure_that_was_not_measured_passes_no_limit() -> None:
    verdict = judge_figures(
        figures(), None, [MetricGate(metric="latency_p99_ms", holdout="target", at_most=5)]
    )
    assert not verdict.accepted
    assert "latency_p99_ms on target is unknown" in verdict.sentence


def test_a_comparison_holds_nobody_back_before_the_first_champion() -> None:
    gates = [MetricGate(metric="accuracy", min_gain=0.0), MetricGate(metric="accuracy", at_least=0.5)]
    assert judge_figures(figures(accuracy=0.6), None, gates).accepted
    assert not judge_figures(figures(accuracy=0.6), figures(accuracy=0.7), gates).accepted


def test_a_champion_that_was_not_measured_is_not_taken_for_a_weak_one() -> None:
    gates = [MetricGate(metric="accuracy", min_gain=0.0)]
    verdict = judge_figures(figures(accuracy=0.9), figures(), gates)
    assert not verdict.accepted
    assert "the champion's was not measured" in verdict.sentence
    assert judge_figures(
        figures(accuracy=0.9), figures(accuracy=None), [*gates, MetricGate(metric="accuracy", at_least=0.5)]
    ).accepted


def test_nobody_is_accepted_without_a_gate_that_applies() -> None:
    assert not judge_figures(figures(accuracy=1.0), None, []).accepted
    verdict = judge_figures(figures(accuracy=1.0), None, [MetricGate(metric="accuracy", min_gain=0.0)])
    assert not verdict.accepted
    assert verdict.sentence == "Not judged: no declared gate applies."


def test_a_pattern_holds_every_figure_it_matches_and_spares_rare_ones() -> None:
    found = figures(
        class_f1__srtio3=Figure(value=0.9, support=50),
        class_f1__ge=Figure(value=0.3, support=50),
        class_f1__oxide=Figure(value=0.0, support=3),
    )
    verdict = judge_figures(found, None, [MetricGate(metric="class_f1.*", at_least=0.5, min_support=20)])
    assert [(check.name, check.passed) for check in verdict.checks] == [
        ("class_f1.ge on recent", False),
        ("class_f1.srtio3 on recent", True),
    ]


def test_gates_of_any_figure_are_declared_in_a_policy() -> None:
    text = """
    max_f1_loss_on_start = 0.05
    [[metrics]]
    metric = "latency_p99_ms"
    holdout = "target"
    at_most = 12.0
    [[metrics]]
    metric = "energy_rmse_ev"
    at_most = 0.2
    """
    gates = Gates.model_validate(tomllib.loads(text))
    assert gates.declared()[-1].metric == "energy_rmse_ev"
    assert [gate.metric for gate in gates.on_data] == ["energy_rmse_ev"]
    assert [gate.metric for gate in gates.on_behaviour] == ["latency_p99_ms"]
    with pytest.raises(ValidationError, match="give one of"):
        MetricGate(metric="f1", at_least=0.1, at_most=0.2)


def test_units_are_said_and_figures_are_flat_for_the_catalogue() -> None:
    found = figures(
        energy_rmse_ev=Figure(value=0.12, unit="eV"), position_rmse_m=Figure(value=2e-11, unit="m")
    )
    verdict = judge_figures(found, None, [MetricGate(metric="energy_rmse_ev", at_most=0.1)])
    assert "0.120 eV, must be at most 0.100 eV" in verdict.sentence
    assert found.get("recent", "position_rmse_m") == Figure(value=2e-11, unit="m")
    assert found.flat() == {"recent.energy_rmse_ev": 0.12, "recent.position_rmse_m": 2e-11}
