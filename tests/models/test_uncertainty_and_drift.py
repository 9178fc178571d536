from __future__ import annotations

import numpy as np
import pytest

from eucentric_models import (
    DriftReference,
    DriftReferenceError,
    ensemble_statistics,
    entropy_map,
    expected_calibration_error,
    frame_features,
    heat_maps,
    mean_entropy,
    radial_power_spectrum,
)


def correlated(rng: np.random.Generator, count: int, size: int = 30, shift: float = 0.0) -> list[np.ndarray]:
    """Feature vectors with strong correlations, one constant feature and one that is almost always zero."""
    mixing = np.random.default_rng(99).normal(size=(size - 2, 4))
    vectors = rng.normal(size=(count, 4)) @ mixing.T + 0.1 * rng.normal(size=(count, size - 2)) + shift
    rare = np.where(rng.random(count) < 0.02, 0.01, 0.0)
    return list(np.column_stack([vectors, np.ones(count), rare]))


class TestUncertainty:
    def test_members_that_agree_deviate_by_nothing(self) -> None:
        one = np.random.default_rng(0).random((2, 8, 8)).astype(np.float32)
        mean, deviation = ensemble_statistics(np.stack([one, one, one]))
        np.testing.assert_allclose(mean, one, rtol=1e-6)
        assert deviation.max() < 1e-6
        _, deviation = ensemble_statistics(np.stack([one, 1 - one]))
        np.testing.assert_allclose(deviation, np.abs(2 * one - 1).max(axis=0) / 2, atol=1e-6)

    def test_entropy_is_largest_at_one_half_and_zero_at_the_ends(self) -> None:
        entropy = entropy_map(np.array([0.0, 0.1, 0.5, 0.9, 1.0]))
        assert entropy[2] == pytest.approx(np.log(2))
        assert entropy[[0, 4]].max() < 1e-4
        assert entropy[1] == pytest.approx(entropy[3])

    def test_mean_entropy_looks_at_candidate_peaks_only(self) -> None:
        places = np.array([[16, 16, 0], [40, 40, 1]], np.float32)
        sure = heat_maps(places, (64, 64), 2)[None]
        doubtful = 0.5 * sure
        assert mean_entropy(sure) < 0.01
        assert mean_entropy(doubtful) == pytest.approx(np.log(2), abs=0.01)
        assert mean_entropy(np.zeros((2, 1, 64, 64))) == pytest.approx(np.log(2))

    def test_calibration_error_is_the_gap_between_confidence_and_accuracy(self) -> None:
        confidence = np.full(1000, 0.8)
        right = np.arange(1000) < 800
        assert expected_calibration_error(confidence, right) == pytest.approx(0, abs=1e-9)
        assert expected_calibration_error(confidence, np.ones(1000, bool)) == pytest.approx(0.2)
        assert expected_calibration_error(np.empty(0), np.empty(0, bool)) == 0
        with pytest.raises(ValueError, match="length"):
            expected_calibration_error(np.empty(1), np.empty(0, bool))


class TestDrift:
    def test_new_frames_of_the_same_kind_are_normal_even_with_more_features_than_frames(self) -> None:
        rng = np.random.default_rng(1)
        reference = DriftReference.fit(correlated(rng, 25), [0.2] * 25)
        scores = [reference.score(vector) for vector in correlated(rng, 200)]
        assert np.median(scores) < 1
        assert np.mean(np.array(scores) < 1.3) > 0.9

    def test_the_score_rises_with_the_shift(self) -> None:
        rng = np.random.default_rng(2)
        reference = DriftReference.fit(correlated(rng, 60), [0.2] * 60)
        medians = [
            np.median([reference.score(vector) for vector in correlated(rng, 40, shift=shift)])
            for shift in (0, 2, 4, 8)
        ]
        assert medians == sorted(medians)
        assert medians[0] < 1 < medians[-1]

    def test_quality_is_relative_to_the_reference(self) -> None:
        reference = DriftReference.fit(correlated(np.random.default_rng(3), 20), [0.1, 0.3] * 10)
        assert reference.quality_proxy(0.2) == pytest.approx(1)
        assert reference.quality_proxy(0.4) == pytest.approx(2)

    def test_a_reference_survives_the_way_through_json(self) -> None:
        vectors = correlated(np.random.default_rng(4), 20)
        reference = DriftReference.fit(vectors, [0.2] * 20)
        again = DriftReference.from_json(reference.to_json())
        assert again == reference
        assert again.score(vectors[0]) == reference.score(vectors[0])

    def test_unusable_references_and_vectors_are_refused(self) -> None:
        vectors = correlated(np.random.default_rng(5), 20)
        reference = DriftReference.fit(vectors, [0.2] * 20)
        with pytest.raises(DriftReferenceError, match="shape"):
            reference.score(vectors[0][:-1])
        with pytest.raises(DriftReferenceError, match="were given"):
            DriftReference.fit(vectors[:5], [0.2] * 5)
        with pytest.raises(DriftReferenceError, match="NaN"):
            DriftReference.fit([vector * np.nan for vector in vectors], [0.2] * 20)
        with pytest.raises(DriftReferenceError, match="not a drift reference"):
            DriftReference.from_json('{"mean": [1, 2]}')
        with pytest.raises(DriftReferenceError, match="not a drift reference"):
            DriftReference.from_json(reference.to_json().replace('"scale":[', '"scale":[1.0,'))

    def test_the_power_spectrum_tells_fringes_of_different_spacing_apart(self) -> None:
        x = np.arange(128)
        coarse, fine = (np.tile(np.cos(2 * np.pi * x / period), (128, 1)) for period in (24, 4))
        assert np.argmax(radial_power_spectrum(coarse)) < np.argmax(radial_power_spectrum(fine))
        assert frame_features(fine, np.arange(5.0)).shape == (13,)
        assert frame_features(np.zeros((300, 40))).shape == (8,)
