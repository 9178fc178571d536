"""The grid lies on the image, whatever is asked of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eucentric_dashboard.chips import SMALLEST_CHIP_PX, Grid

shapes = st.tuples(st.integers(16, 700), st.integers(16, 700))


@given(shapes, st.integers(-5, 2000), st.integers(-5, 2000), st.integers(-5, 2000))
def test_every_chip_lies_in_the_image(shape: tuple[int, int], side: int, y: int, x: int) -> None:
    grid = Grid.of(shape, None, side_px=side).with_offset_px(y, x)
    assert SMALLEST_CHIP_PX <= grid.side_px <= min(shape)
    assert grid.rows >= 1
    assert grid.columns >= 1
    top, left = grid.corner_px((grid.rows - 1, grid.columns - 1))
    assert top + grid.side_px <= shape[0]
    assert left + grid.side_px <= shape[1]


@given(shapes, st.integers(8, 100), st.floats(0, 700), st.floats(0, 700))
def test_a_point_lies_in_the_chip_that_is_named(
    shape: tuple[int, int], side: int, y: float, x: float
) -> None:
    grid = Grid.of(shape, None, side_px=side).with_offset_px(3, 5)
    place = grid.place_at(y, x)
    if place is None:
        assert not (
            grid.offset_px[0] <= y < grid.offset_px[0] + grid.rows * grid.side_px
            and grid.offset_px[1] <= x < grid.offset_px[1] + grid.columns * grid.side_px
        )
    else:
        top, left = grid.corner_px(place)
        assert top <= y < top + grid.side_px
        assert left <= x < left + grid.side_px


def test_sizes_in_nm_are_those_in_pixels() -> None:
    grid = Grid.of((512, 512), 20e-12).with_side_nm(0.64)
    assert grid.side_px == 32
    assert grid.side_nm == pytest.approx(0.64)
    unknown = Grid.of((512, 512), None)
    assert unknown.side_nm is None
    assert unknown.with_side_nm(0.64) is unknown
