"""Circles lie on the atoms, and the scale bar is as long as it says."""

from __future__ import annotations

import re

import numpy as np
import pytest

from eucentric_dashboard._overlay import MAX_DRAWN, detections_svg, scale_bar_length_m, scale_bar_svg
from eucentric_dashboard._palette import CLASS_COLOURS


def test_a_circle_is_centred_on_its_pixel_in_the_colour_of_its_class() -> None:
    rows = np.array([[10, 20, 0, 0.9], [30, 40, 1, 0.8]], np.float32)

    svg = detections_svg(rows, pixel_size_m=20e-12, width_px=64)

    groups = re.findall(r'<g stroke="(#\w+)"><circle cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert groups == [(CLASS_COLOURS[0], "20.5", "10.5"), (CLASS_COLOURS[1], "40.5", "30.5")]


def test_circles_follow_a_frame_that_was_averaged_down() -> None:
    svg = detections_svg(
        np.array([[7, 11, 0, 0.9]], np.float32), pixel_size_m=20e-12, width_px=1024, factor=4
    )

    assert 'cx="2.9" cy="1.9"' in svg


def test_no_frame_can_flood_a_browser_and_the_surest_detections_stay() -> None:
    rows = np.zeros((MAX_DRAWN + 500, 4), np.float32)
    rows[:, 3] = np.linspace(0, 1, len(rows))
    rows[:, 1] = np.arange(len(rows))

    svg = detections_svg(rows, pixel_size_m=None, width_px=8192)

    assert svg.count("<circle") == MAX_DRAWN
    assert f'cx="{len(rows) - 0.5}"' in svg
    assert 'cx="0.5"' not in svg


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
