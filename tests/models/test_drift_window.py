"""Tests of windows keep the false-alarm rate that is declared, and see a shift the surer the more frames."""

from __future__ import annotations

import json

import numpy as np
import pytest

from eucentric_models import DriftReference, DriftReferenceError, conformal_limit, judge_window

FEATURES = 12
LARGE_SHIFT = 3.0


def frames(seed: int, count: int, shift: float = 0.0) -> tuple[list[np.ndarray], list[float]]:
    rng = np.random.default_rng(seed)
    return list(rng.normal(shift, 1.0, (count, FEATURES))), (0.1 + 0.02 * rng.random(count)).tolist()


@pytest.fixture(scope="module")
def reference() -> DriftReference:
    return DriftReference.fit(*frames(1, 80))


def alarms(reference: DriftReference, size: int, rate: float, windows: int, shift: float = 0.0) -> float:
    features, entropies = frames(2, size * windows, shift)
    verdicts = [
        judge_window(
            reference,
            features[start : start + size],
            entropies[start : start + size],
            false_alarm_rate=rate,
        )
        for start in range(0, size * windows, size)
    ]
    return float(np.mean([verdict.drifted for verdict in verdicts]))


@pytest.mark.parametrize(("size", "windows"), [(1, 400), (8, 100), (32, 60)])
def test_frames_of_the_same_kind_alarm_no_more_often_than_declared(
    reference: DriftReference, size: int, windows: int
) -> None:
    # Four standard errors above the declared rate: chance does not fail this test, a wrong test does.
    assert alarms(reference, size, 0.05, windows) <= 0.05 + 4 * (0.05 * 0.95 / windows) ** 0.5


def test_a_small_shift_is_seen_the_surer_the_more_frames_there_are(reference: DriftReference) -> None:
    seen = [alarms(reference, size, 0.05, 40, shift=0.6) for size in (1, 8, 32)]
    assert seen == sorted(seen)
    assert seen[0] < 0.5 < seen[2]
    assert alarms(reference, 8, 0.01, 10, shift=LARGE_SHIFT) == 1.0


def test_the_strangest_statistic_is_named(reference: DriftReference) -> None:
    features, _ = frames(3, 16)
    verdict = judge_window(reference, features, [0.6] * 16, false_alarm_rate=0.01)
    assert (verdict.drifted, verdict.strangest, verdict.frames) == (True, "entropy", 16)
    assert 0 < verdict.p_value <= 0.01


def test_the_limit_of_one_frame_corrects_for_a_finite_reference(reference: DriftReference) -> None:
    limit = conformal_limit(reference, 0.1)
    distances = np.sort([row[0] for row in reference.sample])
    # 81 ranks, of which a new frame is among the highest 8 or beyond in less than a tenth of the cases.
    assert limit == pytest.approx(distances[72] / reference.edge_distance)
    with pytest.raises(DriftReferenceError, match=r"80 frames cannot promise .* only 0\.012"):
        conformal_limit(reference, 0.01)


def test_a_reference_of_an_earlier_version_is_read_and_scores_but_tests_nothing(
    reference: DriftReference,
) -> None:
    fields = json.loads(reference.to_json())
    del fields["sample"]
    old = DriftReference.from_json(json.dumps(fields))
    features, entropies = frames(4, 3)
    assert old.score(features[0]) == pytest.approx(reference.score(features[0]))
    with pytest.raises(DriftReferenceError, match="before references held a sample"):
        judge_window(old, features, entropies)
    with pytest.raises(DriftReferenceError, match="before references held a sample"):
        conformal_limit(old, 0.1)


def test_windows_that_make_no_sense_are_refused(reference: DriftReference) -> None:
    features, entropies = frames(5, 4)
    with pytest.raises(DriftReferenceError, match="make no window"):
        judge_window(reference, [], [])
    with pytest.raises(DriftReferenceError, match="make no window"):
        judge_window(reference, features, entropies[:2])
    with pytest.raises(DriftReferenceError, match="not between"):
        judge_window(reference, features, entropies, false_alarm_rate=0)
    with pytest.raises(DriftReferenceError, match="do not fit"):
        judge_window(reference, [np.zeros(3)], [0.1])
    rows = json.loads(reference.to_json())
    rows["sample"] = [*rows["sample"], rows["sample"][0]]
    with pytest.raises(DriftReferenceError, match="one row"):
        DriftReference.from_json(json.dumps(rows))
