"""Frames of any magnification at the pixel size that a network works at, and positions back in the frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eucentric_models import (
    DEMO_CONDITIONS,
    Decoding,
    InvalidFrameError,
    NetworkSpec,
    Preprocessing,
    at_working_size,
    decode,
    heat_maps,
    normalise,
    resample,
    rescaled_positions,
    simulate_frames,
)
from eucentric_models.networks import Ensemble, build_network, weights_to_bytes

WORKING = Preprocessing(working_pixel_size_m=12e-12)


class TestResampling:
    @pytest.mark.parametrize("scale", [0.4, 0.6, 1.3, 1.6, 2.5])
    def test_columns_lie_where_the_positions_say(self, scale: float) -> None:
        truth = np.array([[y, x, 0.0] for y in (30.2, 71.7, 100.1) for x in (25.9, 60.4, 99.5)])
        frame = heat_maps(truth, (130, 140), 1, sigma_px=4.0)[0]
        smaller = resample(frame, scale)
        found = decode(smaller[None], Decoding(peak_sigma_px=4 * scale, threshold=0.3)).positions_px
        expected = rescaled_positions(truth[:, :2], scale)
        apart = np.hypot(*np.moveaxis(expected[:, None] - found[None], -1, 0)).min(axis=1)
        assert apart.max() < 0.1
        np.testing.assert_allclose(rescaled_positions(expected, 1 / scale), truth[:, :2])

    def test_nothing_aliases_and_no_brightness_is_lost(self) -> None:
        stripes = np.tile([0.0, 1.0], 60)[None].repeat(100, axis=0)
        coarse = resample(stripes, 0.4)
        assert coarse.shape == (40, 48)
        assert coarse[:, 2:-2].mean() == pytest.approx(0.5, abs=0.01)
        assert coarse[:, 2:-2].std() < 0.1

    def test_a_constant_frame_stays_constant_to_the_edge(self) -> None:
        np.testing.assert_allclose(resample(np.full((17, 23), 5.0), 1.7), 5.0, rtol=1e-6)

    def test_impossible_scales_are_refused(self) -> None:
        for scale in (0.0, -1.0, 1e6):
            with pytest.raises(ValueError, match="cannot be resampled"):
                resample(np.zeros((10, 10)), scale)


class TestPreprocessing:
    def test_a_frame_of_the_right_size_or_unknown_is_left_alone(self) -> None:
        frame = np.arange(400, dtype=np.uint16).reshape(20, 20)
        for size in (12e-12, 12.2e-12, None):
            image, scale = at_working_size(frame, WORKING, size)
            assert scale == 1
            np.testing.assert_array_equal(image, frame)
        assert at_working_size(frame, Preprocessing(), 50e-12)[1] == 1

    def test_a_pixel_size_from_which_nothing_could_be_found_is_refused(self) -> None:
        with pytest.raises(InvalidFrameError, match="too far from") as caught:
            at_working_size(np.zeros((20, 20)), WORKING, 1e-9)
        assert "acquire with pixels" in caught.value.next_step

    def test_an_uneven_background_is_taken_out(self) -> None:
        rng = np.random.default_rng(0)
        lattice = np.sin(np.arange(200) * 2 * np.pi / 20)[:, None] * np.sin(np.arange(200) * 2 * np.pi / 20)
        slope = 10 * np.linspace(0, 1, 200)[:, None] ** 2
        flat = Preprocessing(flatten_sigma_px=24)
        clean = normalise(lattice + rng.normal(0, 0.01, lattice.shape), flat)
        tilted = normalise(lattice + slope + rng.normal(0, 0.01, lattice.shape), flat)
        inner = np.s_[40:-40, 40:-40]
        assert np.corrcoef(clean[inner].ravel(), tilted[inner].ravel())[0, 1] > 0.95
        plain = normalise(lattice + slope)
        assert np.corrcoef(clean[inner].ravel(), plain[inner].ravel())[0, 1] < 0.5

    def test_a_constant_frame_becomes_zero(self) -> None:
        flat = normalise(np.full((64, 64), 7), Preprocessing(flatten_sigma_px=8))
        assert not flat.any()

    def test_preprocessing_of_the_first_version_is_still_read(self) -> None:
        old = Preprocessing.model_validate_json('{"low_percentile": 1, "high_percentile": 99.5, "clip": 1}')
        assert old == Preprocessing()


class TestEnsemble:
    def test_positions_and_uncertainty_are_in_pixels_of_the_frame(self) -> None:
        torch.set_num_threads(1)
        spec = NetworkSpec(n_classes=3, base_filters=8, depth=1, stem_factor=4)
        blob = weights_to_bytes(build_network(spec, torch.Generator().manual_seed(0)))
        ensemble = Ensemble(spec, [blob, blob], preprocessing=WORKING)
        conditions = DEMO_CONDITIONS.initial.model_copy(update={"pixel_size_m": 24e-12})
        frame = simulate_frames("mos2", conditions, 1, (96, 80), np.random.default_rng(0))[0].frame
        inference = ensemble.infer(frame, pixel_size_m=24e-12)
        assert inference.scale == pytest.approx(2)
        assert inference.maps.shape == (3, 192, 160)
        assert inference.deviation.shape == (96, 80)
        assert inference.deviation_at(np.array([[0, 0], [95.4, 79.6], [200, -5]])).shape == (3,)
        low = Decoding(threshold=0.001)
        found, raw = inference.detections(low), decode(inference.maps, low)
        np.testing.assert_allclose(found.positions_px, rescaled_positions(raw.positions_px, 0.5), atol=1e-4)
        assert found.positions_px.max(axis=0)[0] < 96
        assert ensemble.infer(frame).maps.shape == (3, 96, 80)
