"""Lengths are read in the unit that fits."""

from __future__ import annotations

import pytest

from eucentric_dashboard._lengths import length_in_words


@pytest.mark.parametrize(
    ("length_m", "words"),
    [
        (19.53e-12, "19.5 pm"),
        (3.906e-9, "3.91 nm"),
        (1e-6, "1 µm"),
        (999.6e-9, "1 µm"),
        (256 * 3.90625e-9, "1 µm"),
        (2e-13, "0.2 pm"),
        (2.5e-3, "2.5 mm"),
    ],
)
def test_three_digits_and_the_unit_that_fits(length_m: float, words: str) -> None:
    assert length_in_words(length_m) == words
