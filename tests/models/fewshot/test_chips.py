"""Frames become chips: of any size, anywhere, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from eucentric_models import InvalidFrameError
from eucentric_models.fewshot import (
    ChipEncoder,
    ChipError,
    ChipGrid,
    EmbeddingCache,
    GreyScale,
    cut_chips,
    equalised,
    open_encoder,
)
from eucentric_models.fewshot._preparation import LEVEL, LOCAL, prepare, resize


@pytest.fixture
def frame() -> NDArray[np.uint16]:
    return np.random.default_rng(1).poisson(200, (70, 100)).astype(np.uint16)


def test_every_chip_is_the_part_of_the_frame_that_it_says(frame: NDArray[np.uint16]) -> None:
    chips = cut_chips(frame, ChipGrid(chip_px=16, offset_px=(3, 5), stride_chips=0.5))
    assert len(chips) == 7 * 10
    assert chips.rows.max() == 6
    for index in (0, 17, len(chips) - 1):
        top, left = chips.tops_px[index], chips.lefts_px[index]
        expected = chips.grey_scale.applied(frame[top : top + 16, left : left + 16].astype(np.float32))
        np.testing.assert_array_equal(chips.pixels[index], expected)
        np.testing.assert_allclose(chips.centres_px[index], (top + 7.5, left + 7.5))
    assert chips.at(2, 3) == 2 * 10 + 3


@pytest.mark.parametrize(("pixel_pm", "side"), [(100, 20), (50, 40), (130, 15)])
def test_a_size_in_nanometres_is_the_same_piece_of_the_sample(
    frame: NDArray[np.uint16], pixel_pm: float, side: int
) -> None:
    assert cut_chips(frame, ChipGrid(chip_nm=2.0), pixel_size_m=pixel_pm * 1e-12).side_px == side


@pytest.mark.parametrize(
    ("grid", "pixel_size_m", "reason"),
    [
        (ChipGrid(chip_px=80), None, "70 x 100 pixels, a chip 80 x 80"),
        (ChipGrid(chip_px=60, offset_px=(20, 0)), None, "after an offset"),
        (ChipGrid(chip_nm=2), None, "pixel size is unknown"),
        (ChipGrid(chip_nm=2), 1e-9, "are 2 pixels"),
    ],
)
def test_a_frame_that_cannot_be_cut_is_refused(
    frame: NDArray[np.uint16], grid: ChipGrid, pixel_size_m: float | None, reason: str
) -> None:
    with pytest.raises(ChipError, match=reason):
        cut_chips(frame, grid, pixel_size_m=pixel_size_m)


def test_the_number_of_chips_is_bounded() -> None:
    large = np.broadcast_to(np.arange(4000, dtype=np.float32), (4000, 4000))
    with pytest.raises(ChipError, match="100000 is the limit"):
        cut_chips(large, ChipGrid(chip_px=8, stride_chips=0.2))


def test_poisoned_frames_are_refused(frame: NDArray[np.uint16]) -> None:
    spoiled = frame.astype(np.float32)
    spoiled[3, 4] = np.nan
    with pytest.raises(InvalidFrameError, match="NaN"):
        cut_chips(spoiled, ChipGrid(chip_px=16))
    with pytest.raises(ChipError, match="constant"):
        cut_chips(np.full((64, 64), 7), ChipGrid(chip_px=16))


@pytest.mark.parametrize(
    "wrong", [{}, {"chip_px": 16, "chip_nm": 2.0}, {"chip_px": 7}, {"chip_px": 16, "stride_chips": 0.01}]
)
def test_grids_are_bounded(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        ChipGrid.model_validate(wrong)


def test_black_and_white_do_not_depend_on_hot_pixels(frame: NDArray[np.uint16]) -> None:
    image = frame.astype(np.float32)
    plain = GreyScale.of(image)
    image[7, 7] = 1e6
    assert GreyScale.of(image).high == pytest.approx(plain.high, rel=0.02)
    mostly_black = np.zeros((64, 64), np.float32)
    mostly_black[0, 0] = 3
    assert GreyScale.of(mostly_black) == GreyScale(low=0, high=3)


@pytest.mark.parametrize("shape", [(95, 95), (34, 35), (64, 64), (300, 280)])
def test_chips_of_any_size_are_prepared_alike(shape: tuple[int, int]) -> None:
    y, x = ((np.arange(side) + 0.5) / side for side in shape)
    chip = np.sin(12 * y)[:, None] * np.cos(9 * x)[None]
    prepared = prepare(np.stack([chip, 0.5 + 0.2 * chip]).astype(np.float32), 64)
    assert prepared.shape == (2, 2, 64, 64)
    np.testing.assert_allclose(prepared[0, LOCAL], prepared[1, LOCAL], atol=0.02)
    assert prepared[1, LEVEL].mean() == pytest.approx(0, abs=0.1)
    grid = (np.arange(64) + 0.5) / 64
    expected = np.sin(12 * grid)[:, None] * np.cos(9 * grid)[None]
    assert np.corrcoef(prepared[0, LOCAL].ravel(), expected.ravel())[0, 1] > 0.995


def test_resizing_keeps_the_mean_and_leaves_the_right_size_alone() -> None:
    chips = np.random.default_rng(2).random((3, 96, 96), np.float32)
    assert resize(chips, 96) is chips
    np.testing.assert_allclose(resize(chips, 32).mean(axis=(1, 2)), chips.mean(axis=(1, 2)), atol=0.01)


def test_equalisation_takes_away_a_slope_of_brightness() -> None:
    rng = np.random.default_rng(3)
    frame = rng.normal(0, 1, (128, 128)) + np.linspace(0, 8, 128)[None]
    even = equalised(frame)
    assert (even.min(), even.max()) == (0, 1)
    plain = (frame - frame.min()) / np.ptp(frame)
    assert np.ptp(even.mean(axis=0)) < 0.6 * np.ptp(plain.mean(axis=0))
    with pytest.raises(InvalidFrameError):
        equalised(np.full((8, 8), np.nan))


class _Counting:
    """An encoder that counts what it is asked for."""

    version = "counting-1"
    dimension = 2

    def __init__(self) -> None:
        self.chips = 0

    def embed(self, chips: NDArray[np.float32]) -> NDArray[np.float32]:
        self.chips += len(chips)
        angle = chips.mean(axis=(1, 2))
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)

    def files(self) -> dict[str, bytes]:
        return {}


class TestACache:
    def test_embeds_a_frame_once_whatever_is_asked_of_it(self, frame: NDArray[np.uint16]) -> None:
        encoder, cache = _Counting(), EmbeddingCache()
        chips = cut_chips(frame, ChipGrid(chip_px=16))
        first = cache.embedded(encoder, chips)
        again = cache.embedded(encoder, cut_chips(frame.copy(), ChipGrid(chip_px=16)))
        np.testing.assert_array_equal(first, again)
        assert encoder.chips == len(chips)
        with pytest.raises(ValueError, match="read-only"):
            again[0] = 0

    def test_takes_other_grids_frames_and_grey_scales_for_what_they_are(
        self, frame: NDArray[np.uint16]
    ) -> None:
        encoder, cache = _Counting(), EmbeddingCache()
        changed = frame.copy()
        changed[0, 0] += 1
        asked = [
            cut_chips(frame, ChipGrid(chip_px=16)),
            cut_chips(frame, ChipGrid(chip_px=16, offset_px=(1, 0))),
            cut_chips(frame, ChipGrid(chip_px=16), grey_scale=GreyScale(low=0, high=100)),
            cut_chips(changed, ChipGrid(chip_px=16)),
        ]
        for chips in asked:
            cache.embedded(encoder, chips)
        assert encoder.chips == sum(map(len, asked))

    def test_outlives_its_process_in_a_folder_and_makes_damaged_files_anew(
        self, frame: NDArray[np.uint16], tmp_path: Path
    ) -> None:
        chips = cut_chips(frame, ChipGrid(chip_px=16))
        expected = EmbeddingCache(tmp_path).embedded(_Counting(), chips)
        encoder = _Counting()
        np.testing.assert_array_equal(EmbeddingCache(tmp_path).embedded(encoder, chips), expected)
        assert encoder.chips == 0
        (file,) = tmp_path.iterdir()
        file.write_bytes(file.read_bytes()[:-3])
        np.testing.assert_array_equal(EmbeddingCache(tmp_path).embedded(encoder, chips), expected)
        assert encoder.chips == len(chips)

    def test_forgets_what_was_used_longest_ago(self, frame: NDArray[np.uint16]) -> None:
        encoder = _Counting()
        grids = [ChipGrid(chip_px=16), ChipGrid(chip_px=17), ChipGrid(chip_px=18)]
        frames = [cut_chips(frame, grid) for grid in grids]
        cache = EmbeddingCache(limit_bytes=2 * 8 * len(frames[0]))
        for chips in frames:
            cache.embedded(encoder, chips)
        before = encoder.chips
        cache.embedded(encoder, frames[2])
        assert encoder.chips == before
        cache.embedded(encoder, frames[0])
        assert encoder.chips == before + len(frames[0])


def test_an_encoder_is_an_encoder() -> None:
    assert isinstance(_Counting(), ChipEncoder)
    assert isinstance(open_encoder("handmade"), ChipEncoder)
