"""What is drawn lies where it was found, and says how large it is."""

from __future__ import annotations

import numpy as np
import pytest

from eucentric_models import InvalidFrameError
from eucentric_models.engines import Findings
from eucentric_models.pictures import Canvas, draw_result, scale_bar_m
from eucentric_models.surrogate import PropertyMap

IMAGE = np.random.default_rng(1).poisson(20.0, (64, 96)).astype(np.uint16)
BAND_PX = 30


def findings(chip_px: tuple[int, int] | None = None) -> Findings:
    return Findings(
        positions_px=np.array([[20.0, 30.0], [40.0, 70.0]], np.float32),
        class_id=np.array([0, 1]),
        confidence=np.array([0.9, 0.4], np.float32),
        uncertainty=np.array([0.1, 0.2], np.float32),
        classes=("metal", "chalcogen"),
        chip_px=chip_px,
    )


def coloured(picture: object) -> np.ndarray:
    """Which pixels of the picture are not grey."""
    values = np.asarray(picture, int)
    return np.asarray(np.ptp(values, axis=2) > 12)


@pytest.mark.parametrize(
    ("field_m", "bar_m"), [(10e-9, 2e-9), (8e-9, 2e-9), (7.9e-9, 1e-9), (300e-9, 50e-9), (1e-6, 200e-9)]
)
def test_a_scale_bar_is_a_round_length_below_a_quarter_of_the_field(field_m: float, bar_m: float) -> None:
    assert scale_bar_m(field_m) == pytest.approx(bar_m)


def test_rings_lie_around_what_was_found_and_nowhere_else() -> None:
    zoom = Canvas(IMAGE).zoom
    drawn = coloured(draw_result(IMAGE, findings(), pixel_size_m=None, caption="two"))
    body = drawn[BAND_PX : BAND_PX + int(64 * zoom)]
    y, x = np.nonzero(body)
    for found_y, found_x in ((20, 30), (40, 70)):
        near = np.hypot(y / zoom - 0.5 - found_y, x / zoom - 0.5 - found_x) < 26
        assert near.any()
        assert y[near].mean() / zoom - 0.5 == pytest.approx(found_y, abs=3)
        assert x[near].mean() / zoom - 0.5 == pytest.approx(found_x, abs=3)


def test_chips_are_tinted_over_their_whole_area_the_stronger_the_surer() -> None:
    canvas = Canvas(IMAGE)
    picture = np.asarray(draw_result(IMAGE, findings((16, 16)), pixel_size_m=None, caption="chips"), int)
    spread = np.ptp(picture, axis=2)
    sure, unsure = (
        spread[BAND_PX + int(y * canvas.zoom), int(x * canvas.zoom)] for y, x in ((20, 30), (40, 70))
    )
    assert sure > 0
    assert unsure > 0
    corner = spread[BAND_PX + int(4 * canvas.zoom), int(4 * canvas.zoom)]
    assert corner == 0


def test_a_calibration_adds_a_scale_bar_and_changes_nothing_else() -> None:
    bare, barred = (
        np.asarray(draw_result(IMAGE, findings(), pixel_size_m=size, caption="c"), int)
        for size in (None, 20e-12)
    )
    assert bare.shape == barred.shape
    changed_y, changed_x = np.nonzero((bare != barred).any(axis=2))
    assert changed_y.min() > bare.shape[0] / 2
    assert changed_x.max() < bare.shape[1] / 2


def test_a_property_is_shown_from_its_lowest_to_its_highest_value() -> None:
    grid = np.array([[y, x] for y in range(8, 60, 4) for x in range(8, 90, 4)])
    found = PropertyMap(grid, grid[:, 1].astype(float), np.ones(len(grid)), "plasmon_ev", 4)
    picture = np.asarray(draw_result(IMAGE, found, pixel_size_m=None, caption="map"), int)
    zoom = Canvas(IMAGE).zoom
    left, right = picture[BAND_PX + int(32 * zoom), [int(10 * zoom), int(86 * zoom)]]
    assert left[2] > left[1]
    assert right[0] > right[2]


def test_a_constant_image_and_an_empty_result_are_drawn_and_no_image_is_refused() -> None:
    empty = np.empty(0)
    nothing = Findings(
        np.empty((0, 2), np.float32), empty.astype(int), empty.astype("f"), empty.astype("f"), ("metal",)
    )
    assert draw_result(np.ones((64, 64)), nothing, pixel_size_m=1e-11, caption="x" * 400).width >= 512
    with pytest.raises(InvalidFrameError):
        draw_result(np.full((64, 64), np.nan), nothing, pixel_size_m=None, caption="")
