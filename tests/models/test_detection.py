from __future__ import annotations

import json

import numpy as np
import pytest

from eucentric_models import (
    Decoding,
    Detections,
    InvalidFrameError,
    Preprocessing,
    Score,
    decode,
    heat_maps,
    normalise,
    score_frame,
    total,
)

SHAPE = (128, 96)
PIXEL_M = 10e-12


def scattered_truth(rng: np.random.Generator) -> np.ndarray:
    y, x = np.meshgrid(np.arange(10, 120, 14), np.arange(10, 90, 14), indexing="ij")
    places = np.stack([y.ravel(), x.ravel()], axis=1) + rng.uniform(-2, 2, (y.size, 2))
    return np.column_stack([places, rng.integers(0, 3, y.size)]).astype(np.float32)


def detected(rows: np.ndarray) -> Detections:
    return Detections(
        rows[:, :2].astype(np.float32), rows[:, 2].astype(np.int8), np.full(len(rows), 0.9, np.float32)
    )


def judged(found: np.ndarray, truth: np.ndarray, **changes: float) -> Score:
    options = {"tolerance_m": 60e-12, "border_m": 0.0, **changes}
    return score_frame(
        detected(found.reshape(-1, 3)), truth, n_classes=3, pixel_size_m=PIXEL_M, shape=SHAPE, **options
    )


class TestPreprocessing:
    def test_gain_and_offset_of_the_detector_do_not_matter(self) -> None:
        frame = np.random.default_rng(0).gamma(2, 1, SHAPE).astype(np.float32)
        np.testing.assert_allclose(normalise(frame), normalise(frame * 40 + 700), atol=1e-4)

    def test_a_hot_pixel_changes_nothing_but_itself(self) -> None:
        frame = np.random.default_rng(1).poisson(20, SHAPE).astype(np.uint16)
        hot = frame.copy()
        hot[50, 50] = 60000
        difference = np.abs(normalise(hot) - normalise(frame))
        assert difference[50, 50] > 0
        difference[50, 50] = 0
        assert difference.max() < 0.05
        assert normalise(hot).max() <= 1 + Preprocessing().clip

    def test_a_constant_frame_becomes_zeros(self) -> None:
        assert not normalise(np.full(SHAPE, 7, np.uint16)).any()

    @pytest.mark.parametrize(
        "frame",
        [np.zeros((2, 3, 4)), np.zeros((0, 5)), np.zeros((4, 4), complex), np.full((4, 4), np.nan)],
        ids=["3D", "empty", "complex", "NaN"],
    )
    def test_frames_that_cannot_be_analysed_are_refused(self, frame: np.ndarray) -> None:
        with pytest.raises(InvalidFrameError, match="cannot be analysed"):
            normalise(frame)


class TestDecoding:
    def test_heat_maps_decode_to_the_truth_they_were_made_from(self) -> None:
        truth = scattered_truth(np.random.default_rng(2))
        score = judged(decode(heat_maps(truth, SHAPE, 3)).rows[:, :3], truth)
        assert score.f1 == 1
        assert score.position_rmse_m is not None
        assert score.position_rmse_m < 0.02 * PIXEL_M

    def test_vacancies_leave_no_peak(self) -> None:
        truth = np.array([[20, 20, 0], [60, 60, 3]], np.float32)
        assert heat_maps(truth, SHAPE, 3)[:, 50:70, 50:70].max() < 1e-6

    def test_an_empty_map_gives_no_detections(self) -> None:
        found = decode(np.zeros((3, *SHAPE), np.float32))
        assert len(found) == 0
        assert found.rows.shape == (0, 4)

    def test_a_plateau_is_one_detection(self) -> None:
        maps = np.zeros((2, *SHAPE), np.float32)
        maps[1, 30:33, 40:42] = 0.8
        found = decode(maps)
        assert len(found) == 1
        assert found.class_id[0] == 1

    def test_peaks_on_the_edge_and_in_the_corner_stay_in_the_frame(self) -> None:
        truth = np.array([[0, 0, 0], [127, 50, 1], [64, 95, 2]], np.float32)
        found = decode(heat_maps(truth, SHAPE, 3))
        assert sorted(found.class_id.tolist()) == [0, 1, 2]
        assert np.abs(np.sort(found.positions_px[:, 0]) - [0, 64, 127]).max() <= 0.75

    def test_the_number_of_detections_is_capped_and_the_surest_stay(self) -> None:
        maps = np.random.default_rng(3).random((1, *SHAPE)).astype(np.float32)
        found = decode(maps, Decoding(threshold=0.5, min_distance_px=1, max_detections=10))
        assert len(found) == 10
        assert found.confidence.min() > 0.98


class TestScoring:
    def test_perfect_missing_invented_and_misnamed_columns(self) -> None:
        truth = scattered_truth(np.random.default_rng(4))
        n = len(truth)
        assert judged(truth, truth).f1 == 1
        assert judged(truth[1:], truth).recall == pytest.approx((n - 1) / n)
        invented = np.vstack([truth, [[3, 93, 0]]])
        assert judged(invented, truth).precision == pytest.approx(n / (n + 1))
        misnamed = truth.copy()
        misnamed[0, 2] = (misnamed[0, 2] + 1) % 3
        assert judged(misnamed, truth).f1 == pytest.approx((n - 1) / n)

    def test_the_tolerance_is_a_distance_in_metres(self) -> None:
        truth = np.array([[50, 50, 0]], np.float32)
        assert judged(truth + np.array([0, 5.9, 0]), truth).f1 == 1
        assert judged(truth + np.array([0, 6.1, 0]), truth).f1 == 0
        error = judged(truth + np.array([3, 4, 0]), truth).position_rmse_m
        assert error == pytest.approx(5 * PIXEL_M)

    def test_two_detections_of_one_column_count_once(self) -> None:
        truth = np.array([[50, 50, 0]], np.float32)
        score = judged(np.array([[50, 51, 0], [50, 48, 0]]), truth)
        assert (score.micro.true_positives, score.micro.false_positives) == (1, 1)
        assert score.position_rmse_m == pytest.approx(PIXEL_M)

    def test_vacancies_are_neither_demanded_nor_forbidden(self) -> None:
        truth = np.array([[50, 50, 0], [80, 50, 3]], np.float32)
        assert judged(np.array([[50, 50, 0]]), truth).f1 == 1
        assert judged(np.array([[50, 50, 0], [80, 50, 1]]), truth).f1 == 1

    def test_the_border_is_left_out_on_both_sides(self) -> None:
        truth = np.array([[5, 50, 0], [60, 50, 0]], np.float32)
        assert judged(np.array([[60, 50, 0]]), truth, border_m=10 * PIXEL_M).f1 == 1
        assert judged(np.array([[60, 50, 0], [120, 3, 1]]), truth, border_m=10 * PIXEL_M).f1 == 1
        assert judged(np.array([[60, 50, 0]]), truth).f1 < 1

    def test_scores_add_up_over_frames_and_are_plain_json(self) -> None:
        truth = np.array([[50, 50, 0], [80, 50, 1]], np.float32)
        both = total([judged(truth, truth), judged(truth[:1], truth)])
        assert (both.frames, both.micro.true_positives, both.micro.false_negatives) == (2, 3, 1)
        plain = json.loads(json.dumps(both.as_dict(("metal", "chalcogen"))))
        assert plain["per_class_f1"]["metal"] == 1
        assert plain["per_class_f1"]["chalcogen"] == pytest.approx(2 / 3)

    def test_nothing_found_is_zero_and_nothing_there_is_one(self) -> None:
        none = np.empty((0, 3), np.float32)
        truth = np.array([[50, 50, 0]], np.float32)
        assert judged(none, truth).f1 == 0
        assert judged(none, truth).position_rmse_m is None
        assert judged(none, none).f1 == 1


def test_detections_come_back_from_the_rows_that_were_published() -> None:
    rows = np.array([[1.5, 2.5, 1, 0.75], [30, 4, 0, 0.5]], np.float32)
    found = Detections.from_rows(rows)
    assert found.class_id.dtype == np.int8
    assert found.class_id.tolist() == [1, 0]
    np.testing.assert_array_equal(found.rows, rows)
