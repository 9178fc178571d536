"""The scale bar is as long as it says."""

from __future__ import annotations

import re

import pytest

from eucentric_dashboard._overlay import scale_bar_length_m, scale_bar_svg


@pytest.mark.parametrize(
    ("field_of_view_m", "length_m"),
    [(10e-9, 2e-9), (3.1e-9, 0.5e-9), (4.7e-9, 1e-9), (10e-9 / 3, 1e-9), (1e-6, 200e-9), (17e-9, 5e-9)],
)
def test_the_scale_bar_has_a_round_length_of_at_most_30_percent(
    field_of_view_m: float, length_m: float
) -> None:
    assert scale_bar_length_m(field_of_view_m) == pytest.approx(length_m)


def test_the_bar_is_drawn_as_long_as_its_label_says() -> None:
    svg = scale_bar_svg(pixel_size_m=20e-12, width_px=256, height_px=256)

    label_nm = float(re.search(r">([\d.]+) nm<", svg)[1])  # type: ignore[index]
    bar_px = float(re.search(r'width="([\d.]+)" height="[\d.]+" fill="#fff"', svg)[1])  # type: ignore[index]
    assert bar_px * 20e-12 == pytest.approx(label_nm * 1e-9, rel=1e-2)
