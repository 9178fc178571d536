"""Frames by multislice show the columns that the fast model shows, behind the same seam."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from eucentric_models import ImagingConditions
from eucentric_models.image_formation import form_frame
from eucentric_models.multislice import MultisliceError, MultisliceOptions, multislice_material

ase = pytest.importorskip("ase", reason="the extra structures is not installed")

CONDITIONS = ImagingConditions(
    pixel_size_m=2e-11, probe_sigma_m=3e-11, beam_current_a=1e-9, dwell_time_s=1e-5, output="float32"
)
# Coarse, so that it takes seconds: what is tested is where the columns are and which are strong.
COARSE = MultisliceOptions(
    sampling_m=8e-12,
    detector_inner_rad=60e-3,
    detector_outer_rad=100e-3,
    scan_step_m=4e-11,
    slice_m=2e-10,
    probe_extent_m=1e-9,
)


def strontium_titanate(side_pm: float = 390.5) -> Any:
    a = side_pm / 100
    return ase.Atoms(
        "SrTiO3",
        scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)],
        cell=[a, a, a],
        pbc=True,
    )


def test_it_shows_the_columns_that_the_fast_model_shows() -> None:
    pytest.importorskip("abtem", reason="the extra multislice is not installed")
    material = multislice_material("strontium-titanate", strontium_titanate() * (1, 1, 4), CONDITIONS, COARSE)
    assert material.classes == material.structure.classes
    slow = material.simulate(CONDITIONS, (96, 96), np.random.default_rng(1))
    # The same piece by the fast model: the same generator turns and shifts it.
    rng = np.random.default_rng(1)
    piece = material._columns((96 * 2e-11 + 1e-9,) * 2, rng.uniform(0, 2 * np.pi), rng.random(2))
    fast = form_frame(piece, CONDITIONS, (96, 96), rng)
    assert np.array_equal(slow.truth, fast.truth)
    inner = (slice(8, -8), slice(8, -8))
    likeness = np.corrcoef(slow.frame[inner].ravel(), fast.frame[inner].ravel())[0, 1]
    assert likeness > 0.85

    y, x, kind = slow.truth.T
    inside = (y > 4) & (y < 91) & (x > 4) & (x < 91)
    seen = slow.frame[np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int)]
    mean_of = [seen[kind[inside] == index].mean() for index in range(3)]
    assert material.classes[:3] == ("Sr", "Ti-O", "O")
    assert mean_of[0] > mean_of[1] > mean_of[2] > np.percentile(slow.frame, 5)


def test_a_sampling_that_does_not_reach_the_detector_is_refused() -> None:
    pytest.importorskip("abtem", reason="the extra multislice is not installed")
    coarser = COARSE.model_copy(update={"sampling_m": 2e-11})
    with pytest.raises(MultisliceError, match=r"scatters to 4\d mrad only; the detector reaches to 100 mrad"):
        multislice_material("strontium-titanate", strontium_titanate(), CONDITIONS, coarser)


def test_it_says_when_abtem_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "abtem", None)
    with pytest.raises(MultisliceError, match="abTEM is not installed") as caught:
        multislice_material("strontium-titanate", strontium_titanate(), CONDITIONS)
    assert "eucentric[multislice]" in (caught.value.next_step or "")


def test_a_cell_without_right_angles_is_refused() -> None:
    skew = strontium_titanate()
    skew.set_cell([[3.9, 0, 0], [1.0, 3.9, 0], [0, 0, 3.9]])
    with pytest.raises(MultisliceError, match="has no right angles"):
        multislice_material("skew", skew, CONDITIONS)
