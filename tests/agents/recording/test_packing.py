"""Packed frames go as soon as nobody needs them: waiting for the garbage collector costs new memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from eucentric_agents.recording._packing import Packer
from eucentric_core import Frame

SHAPE = (160, 128)


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Only references count."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
def test_a_packed_frame_is_let_go_without_the_garbage_collector(make_frame: Callable[..., Frame]) -> None:
    counts = np.random.default_rng(1).poisson(3, SHAPE).astype(np.uint16)
    packer = Packer("blosc2-lz4")
    try:
        for _ in range(2):
            made = make_frame(0, shape=SHAPE)
            header = made.header.model_copy(update={"dtype": "uint16"})
            array = counts.copy()
            packing = packer.submit(Frame(header, array))
            packer.dispatch()
            packed = packing.result()
            assert packed.chunk.compressed
            memory = weakref.ref(packed.chunk.content.obj)  # type: ignore[union-attr]
            frames = weakref.ref(array)
            del array, packing, packed
    finally:
        packer.close()
    assert memory() is None
    assert frames() is None
