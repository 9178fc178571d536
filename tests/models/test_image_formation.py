from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from eucentric_models import (
    DEMO_CONDITIONS,
    MOS2,
    SRTIO3,
    Contamination,
    Crystal,
    ImagingConditions,
    Preprocessing,
    ScanDistortion,
    build_crystal,
    expected_signal,
    form_frame,
    local_maxima,
    normalise,
    simulate_frames,
    truth_rows,
)
from eucentric_models.image_formation import CROSS_SECTION_M2_PER_WEIGHT

CONDITIONS = ImagingConditions(
    pixel_size_m=12e-12, probe_sigma_m=40e-12, beam_current_a=60e-12, dwell_time_s=2e-6, tail_fraction=0
)
SHAPE = (96, 128)


def changed(**values: object) -> ImagingConditions:
    return ImagingConditions(**{**CONDITIONS.model_dump(), **values})


def one_column(y_px: float, x_px: float, pixel_size_m: float = 12e-12) -> Crystal:
    """A crystal with a single heavy column at a place given in pixels of a SHAPE frame."""
    middle = ((SHAPE[0] - 1) / 2, (SHAPE[1] - 1) / 2)
    return Crystal(
        material=MOS2,
        positions_m=np.array([[y_px - middle[0], x_px - middle[1]]]) * pixel_size_m,
        weight=np.array([575], np.float32),
        atom_weight=np.array([575], np.float32),
        class_id=np.array([0], np.int8),
        extent_m=(1e-8, 1e-8),
        rotation_rad=0.0,
    )


def test_a_column_becomes_the_probe_at_its_sub_pixel_position() -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for place in ((40.0, 60.0), (40.5, 60.25), (33.3, 71.9)):
        image = expected_signal(one_column(*place), CONDITIONS, SHAPE) - CONDITIONS.background_fraction
        sigma_px = CONDITIONS.probe_sigma_m / CONDITIONS.pixel_size_m
        gaussian = np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / (2 * sigma_px**2))
        peak = 575 * CROSS_SECTION_M2_PER_WEIGHT / (2 * np.pi * CONDITIONS.probe_sigma_m**2)
        np.testing.assert_allclose(image, peak * gaussian, atol=2e-4 * peak)


def test_the_signal_does_not_depend_on_where_the_edge_of_the_frame_is() -> None:
    crystal = build_crystal(MOS2, (6e-9, 6e-9), np.random.default_rng(1))
    large = expected_signal(crystal, CONDITIONS, (160, 160))
    small = expected_signal(crystal, CONDITIONS, (96, 96))
    np.testing.assert_allclose(small, large[32:128, 32:128], atol=1e-3 * large.max())


def test_defocus_widens_the_probe_and_astigmatism_widens_it_along_one_axis() -> None:
    sharp = expected_signal(one_column(48, 64), CONDITIONS, SHAPE)
    blurred = expected_signal(one_column(48, 64), changed(defocus_m=-5e-9), SHAPE)
    assert blurred.max() < 0.5 * sharp.max()
    assert blurred.sum() == pytest.approx(sharp.sum(), rel=0.02)
    yy, xx, yx = changed(defocus_m=3e-9, astigmatism_m=3e-9).probe_covariance_m2
    assert xx > 2 * yy
    assert yx == pytest.approx(0)


def test_dose_noise_is_poisson() -> None:
    flat = one_column(-500, -500)
    for electrons in (0.4, 3.0, 9.9, 10.2, 60.0):
        counted = CONDITIONS.electrons_per_pixel * CONDITIONS.collection_efficiency
        conditions = changed(
            background_fraction=electrons / counted,
            detector_gain_counts_per_electron=1,
            detector_offset_counts=0,
            detector_noise_counts=0,
            output="float32",
        )
        frame = form_frame(flat, conditions, (512, 512), np.random.default_rng(2)).frame
        assert frame.mean() == pytest.approx(electrons, rel=0.02)
        assert frame.var() == pytest.approx(electrons, rel=0.03)


def test_gain_and_offset_turn_electrons_into_counts() -> None:
    dark = changed(background_fraction=0, detector_offset_counts=700, detector_noise_counts=0)
    frame = form_frame(one_column(-500, -500), dark, SHAPE, np.random.default_rng(3)).frame
    assert frame.dtype == np.uint16
    assert (frame == 700).all()
    bright = changed(beam_current_a=6e-9, detector_gain_counts_per_electron=1e5)
    assert form_frame(one_column(48, 64), bright, SHAPE, np.random.default_rng(3)).frame.max() == 65535


def test_jitter_moves_whole_rows_sideways() -> None:
    shift = np.linspace(-2, 2, SHAPE[0])
    image = expected_signal(one_column(48, 64), CONDITIONS, SHAPE, row_shift_px=shift)
    image -= CONDITIONS.background_fraction
    centre_of_row = (image * np.arange(SHAPE[1])).sum(axis=1)[40:57] / image.sum(axis=1)[40:57]
    np.testing.assert_allclose(centre_of_row, 64 + shift[40:57], atol=0.02)


def test_truth_lists_the_columns_inside_the_frame_and_follows_the_stage() -> None:
    crystal = build_crystal(MOS2, (8e-9, 8e-9), np.random.default_rng(4))
    rows = truth_rows(crystal, 12e-12, SHAPE)
    assert rows.dtype == np.float32
    assert (rows[:, :2] >= 0).all()
    assert (rows[:, :2] <= np.array(SHAPE) - 1).all()
    moved = truth_rows(crystal, 12e-12, SHAPE, centre_m=(0, 10 * 12e-12))
    shared = rows[rows[:, 1] > 10]
    distance = np.abs(shared[:, None, :2] - [0, 10] - moved[None, :, :2]).max(axis=2).min(axis=1)
    assert distance.max() < 1e-3


def test_a_frame_shows_metals_brighter_than_chalcogens_and_dopants_brightest() -> None:
    labelled = simulate_frames("mos2", DEMO_CONDITIONS.initial, 3, (256, 256), np.random.default_rng(5))
    means = []
    for class_id in (1, 0, 2):
        values = []
        for frame, truth, _ in labelled:
            places = np.rint(truth[truth[:, 2] == class_id, :2]).astype(int)
            values.extend(frame[places[:, 0], places[:, 1]])
        means.append(np.mean(values))
    assert means[0] * 1.1 < means[1] < means[2] / 1.1


def test_conditions_out_of_bounds_or_with_unknown_names_are_refused() -> None:
    for wrong in ({"pixel_size_m": 1.0}, {"beam_current_a": 0}, {"defocus": 1e-9}):
        with pytest.raises(ValidationError):
            changed(**wrong)
    with pytest.raises(ValueError, match="shape"):
        expected_signal(one_column(0, 0), CONDITIONS, (4, 4))


def test_the_demo_drifts_from_the_initial_to_the_drifted_conditions() -> None:
    demo = DEMO_CONDITIONS
    assert demo.at(0) == demo.initial
    assert demo.at(1) == demo.drifted
    sizes = [demo.at(t).pixel_size_m for t in (-1, 0.25, 0.5, 0.75, 2)]
    assert sizes == sorted(sizes)
    assert sizes[0] == demo.initial.pixel_size_m


def _bright_places(image: np.ndarray) -> np.ndarray:
    smooth = normalise(image, Preprocessing(high_percentile=99.9))
    return np.stack(local_maxima(smooth, 0.4, 3), axis=1).astype(float)


class TestScanDistortionAndContamination:
    @pytest.mark.parametrize(
        "distortion",
        [ScanDistortion(shear=0.05), ScanDistortion(wobble_amplitude_px=3.0, wobble_period_rows=60.0)],
    )
    def test_truth_is_where_the_columns_appear(self, distortion: ScanDistortion) -> None:
        conditions = DEMO_CONDITIONS.initial.model_copy(
            update={
                "scan_distortion": distortion,
                "jitter_rms_px": 0.0,
                "beam_current_a": 1e-9,
                "output": "float32",
            }
        )
        made = simulate_frames("srtio3", conditions, 1, (160, 160), np.random.default_rng(2))[0]
        straight = distortion.displacement_px(made.truth[:, 0], 160)
        assert np.abs(straight).max() > 2
        image = made.frame.astype(np.float32)
        bright = _bright_places(image)
        inner = np.all((made.truth[:, :2] > 10) & (made.truth[:, :2] < 149), axis=1) & (made.truth[:, 2] == 0)
        apart = np.hypot(*np.moveaxis(made.truth[inner][:, None, :2] - bright[None], -1, 0)).min(axis=1)
        assert np.median(apart) < 0.6

    def test_a_film_adds_what_it_says_on_average_and_unevenly(self) -> None:
        film = Contamination(level=0.01).background((256, 256), 12e-12, np.random.default_rng(0))
        assert film.min() >= 0
        assert film.mean() == pytest.approx(0.01, rel=0.1)
        assert film.std() > 0.004

    def test_conditions_of_the_first_version_are_still_read(self) -> None:
        old = {"pixel_size_m": 1e-11, "probe_sigma_m": 5e-11, "beam_current_a": 1e-10, "dwell_time_s": 1e-6}
        assert ImagingConditions.model_validate(old).contamination is None


class TestPerovskite:
    def test_oxygen_is_in_the_frame_but_not_among_what_is_learned(self) -> None:
        assert SRTIO3.detectable_classes == ("strontium", "titanium")
        crystal = build_crystal(SRTIO3, (3e-9, 3e-9), np.random.default_rng(0), vacancy_fraction=0.0)
        counts = np.bincount(crystal.class_id, minlength=4)
        assert counts[2] == pytest.approx(2 * counts[0], rel=0.15)
        assert counts[1] == pytest.approx(counts[0], rel=0.15)
        strength = [float(crystal.weight[crystal.class_id == i].mean()) for i in range(3)]
        assert strength[0] > strength[1] > 4 * strength[2]
