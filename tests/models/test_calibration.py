"""Confidences that keep their word."""

from __future__ import annotations

import numpy as np
import pytest

from eucentric_models import (
    Calibration,
    Decoding,
    decode,
    expected_calibration_error,
    fit_calibration,
    heat_maps,
)


def drawn(slope: float, shift: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    height = rng.uniform(0.3, 0.95, count)
    logit = np.log(height / (1 - height))
    return height, rng.random(count) < 1 / (1 + np.exp(-(slope * logit + shift)))


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (3.0, 1.0), (0.5, 2.0), (2.0, -1.5)])
def test_what_is_fitted_is_what_it_was(slope: float, shift: float) -> None:
    height, correct = drawn(slope, shift, 20_000)
    fitted = fit_calibration(height, correct)
    assert fitted.slope == pytest.approx(slope, abs=0.2)
    assert fitted.shift == pytest.approx(shift, abs=0.2)
    assert expected_calibration_error(fitted.confidence(height), correct) < 0.02


def test_detections_that_are_all_right_make_it_sure_but_not_certain() -> None:
    fitted = fit_calibration(np.full(500, 0.6), np.ones(500, bool))
    confidence = float(fitted.confidence(np.array([0.6]))[0])
    assert 0.95 < confidence < 1


def test_one_detection_or_none_changes_little() -> None:
    assert fit_calibration(np.empty(0), np.empty(0, bool)) == Calibration()
    alone = fit_calibration(np.array([0.7]), np.array([False]))
    assert 0 < alone.slope <= 50
    assert np.isfinite(alone.shift)


def test_values_that_cannot_be_fitted_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        fit_calibration(np.array([0.5, np.nan]), np.array([True, False]))
    with pytest.raises(ValueError, match="one length"):
        fit_calibration(np.array([0.5]), np.array([True, False]))


def test_decoding_gives_calibrated_confidences_in_the_same_order_and_the_same_positions() -> None:
    maps = heat_maps(np.array([[20.0, 20, 0], [40, 44, 0]]), (64, 64), 1) * 0.7
    maps[0, 35:, :] *= 0.8
    plain = decode(maps)
    sure = decode(maps, Decoding(calibration=Calibration(slope=2, shift=3)))
    np.testing.assert_array_equal(plain.positions_px, sure.positions_px)
    assert (np.diff(sure.confidence) <= 0).all()
    assert (sure.confidence > plain.confidence).all()
    assert Decoding.model_validate_json('{"threshold": 0.35}').calibration == Calibration()
