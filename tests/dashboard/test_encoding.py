"""A frame becomes a picture: contrast by percentiles, averaged down when large, uncertainty as a layer."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from eucentric_dashboard._encode import encode_image, encode_uncertainty, reduction, to_grey


def test_a_few_hot_pixels_do_not_take_the_contrast_away() -> None:
    frame = np.tile(np.arange(100, dtype=np.uint16), (100, 1))
    frame[50, 50] = 60_000

    assert np.ptp(to_grey(frame, "normal")[0]) > 240
    assert np.ptp(to_grey(frame, "full")[0]) <= 1


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float16", "float32", "float64"])
def test_brighter_stays_brighter_whatever_the_number_type(dtype: str) -> None:
    grey = to_grey(np.tile(np.arange(64), (64, 1)).astype(dtype))

    assert (np.diff(grey[0].astype(int)) >= 0).all()
    assert grey[0, 0] < 10
    assert grey[0, -1] > 245


def test_an_empty_field_of_view_is_grey_and_not_amplified_noise() -> None:
    assert (to_grey(np.full((32, 32), 7, np.float32)) == 128).all()


def test_invalid_pixels_leave_the_rest_of_the_frame_readable() -> None:
    frame = np.tile(np.arange(64, dtype=np.float32), (64, 1))
    frame[3, 3] = np.nan
    frame[4, 4] = np.inf

    assert np.ptp(to_grey(frame)[10]) > 240


def test_a_large_frame_is_averaged_down_and_keeps_its_aspect() -> None:
    frame = np.zeros((1500, 3000), np.float32)
    frame[:, 1500:] = 100
    picture = Image.open(BytesIO(encode_image(frame)))

    assert reduction(frame.shape) == 3
    assert picture.size == (1000, 500)
    assert picture.format == "JPEG"


def test_uncertainty_shows_where_the_ensemble_disagrees_and_nowhere_else() -> None:
    deviation = np.zeros((16, 16), np.float16)
    deviation[8:, :] = 0.4
    layer = np.asarray(Image.open(BytesIO(encode_uncertainty(deviation))))

    assert layer.shape == (16, 16, 4)
    assert (layer[:8, :, 3] == 0).all()
    assert (layer[8:, :, 3] > 150).all()
    assert (layer[8:, :, 3] < 255).all(), "the image below must stay visible"
