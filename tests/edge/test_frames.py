"""Frames that cannot be analysed are refused with a reason; they never stop the next one."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from eucentric_core import Axis, EucentricError, Frame
from eucentric_edge import Installer, ModelSlot, ServingModel

from .bundle_maker import BundleMaker, frame_of, image


@pytest.fixture
def model(bundles: BundleMaker, installer: Installer, slot: ModelSlot) -> ServingModel:
    installer.install(bundles.make(1), frame_shape=None)
    assert slot.model is not None
    return slot.model


def with_pixel(value: float) -> np.ndarray:
    array = image(3)
    array[4, 5] = value
    return array


POISON: dict[str, tuple[Callable[[], Frame], str]] = {
    "NaN": (lambda: frame_of(with_pixel(np.nan), 1), "NaN or infinity"),
    "infinity": (lambda: frame_of(with_pixel(-np.inf), 1), "NaN or infinity"),
    "three dimensions": (lambda: frame_of(np.zeros((2, 48, 40), np.float32), 1, axes=()), "dimensions"),
    "no dimension": (lambda: frame_of(np.array(1.0, np.float32), 1, axes=()), "dimensions"),
    "one row": (lambda: frame_of(np.zeros((1, 4096), np.float32), 1), "pixels"),
    "no pixel at all": (lambda: frame_of(np.zeros((0, 40), np.float32), 1), "pixels"),
    "too many pixels": (lambda: frame_of(np.zeros((4097, 4096), np.uint8), 1), "pixels"),
    "no pixel size": (lambda: frame_of(image(3), 1, axes=()), "pixel size"),
    "pixels without a unit": (
        lambda: frame_of(
            image(3), 1, axes=(Axis(name="y", unit="px", scale=1), Axis(name="x", unit="px", scale=1))
        ),
        "pixel size",
    ),
}


@pytest.mark.parametrize("what", POISON)
def test_a_poison_frame_is_refused_with_a_reason(what: str, model: ServingModel) -> None:
    make, said = POISON[what]
    with pytest.raises(EucentricError, match=said):
        model.answer(make(), received_s=time.perf_counter())
    assert model.answer(frame_of(image(3), 2), received_s=time.perf_counter()).header.sequence == 2


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float16", "float64"])
def test_every_dtype_of_a_detector_is_analysed(dtype: str, model: ServingModel) -> None:
    plain = model.answer(frame_of(image(3), 1), received_s=time.perf_counter())
    same = model.answer(frame_of(image(3).astype(dtype), 1), received_s=time.perf_counter())
    np.testing.assert_array_equal(same.array("detections"), plain.array("detections"))


@pytest.mark.parametrize("value", [0, 65535])
def test_an_empty_or_saturated_frame_is_analysed(value: int, model: ServingModel) -> None:
    answer = model.answer(frame_of(np.full((48, 40), value, np.uint16), 1), received_s=time.perf_counter())
    assert np.isfinite(answer.array("uncertainty")).all()
