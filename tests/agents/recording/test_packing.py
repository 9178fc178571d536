"""Which frames are compressed, and that packed ones go as soon as nobody needs them.

Waiting for the garbage collector costs new memory.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest

from eucentric_agents.recording._packing import AsPublished, CompressionPolicy, Packer
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


@pytest.mark.parametrize(
    ("policy", "most_packing_bytes", "compressed"),
    [("auto", 1 << 20, True), ("auto", 0, False), ("blosc2-lz4", 0, True), ("none", 1 << 20, False)],
)
def test_a_frame_is_compressed_unless_the_workers_would_be_late(
    make_frame: Callable[..., Frame], policy: CompressionPolicy, most_packing_bytes: int, compressed: bool
) -> None:
    packer = Packer(policy, most_packing_bytes=most_packing_bytes)
    try:
        packing = packer.submit(make_frame(0, shape=SHAPE))
        packer.dispatch()
        assert packing.result().chunk.compressed == compressed
    finally:
        packer.close()
    assert packer.frames_hurried == (policy == "auto" and not compressed)


def test_with_a_load_in_the_workers_the_next_frame_waits_for_none(make_frame: Callable[..., Frame]) -> None:
    frames = [make_frame(sequence, shape=SHAPE) for sequence in range(3)]
    packer = Packer("auto", most_packing_bytes=1)
    try:
        first, second, third = (packer.submit(frame) for frame in frames)
        # Nothing has gone to a worker yet: the first frame is what there is to compress.
        assert not second.result().chunk.compressed
        assert not third.result().chunk.compressed
        packer.dispatch()
        assert first.result().chunk.compressed
    finally:
        packer.close()
    assert packer.frames_hurried == 2


def test_a_shard_of_both_kinds_opens_with_h5py(site: Any, make_frame: Callable[..., Frame]) -> None:
    frames = [make_frame(sequence, shape=SHAPE) for sequence in range(4)]
    journal = site.open_journal(compression="auto", most_packing_bytes=1)
    for frame in frames:
        journal.append(frame)
    journal.stop_session("twin", "s1", frames=4)
    hurried = journal.frames_hurried
    (shard,) = journal.folders.shards.glob("*.h5")
    journal.close()
    assert hurried == 3
    with h5py.File(shard) as file:
        stream = file["entry/haadf"]
        np.testing.assert_array_equal(stream["data"][:], [frame.array for frame in frames])
        assert stream.attrs["uncompressed_frames"] == hurried


@pytest.mark.parametrize("compression", ["blosc2-lz4", "none"])
def test_a_header_that_came_as_json_is_not_written_anew(
    make_frame: Callable[..., Frame], compression: CompressionPolicy
) -> None:
    frame = make_frame(0, shape=SHAPE)
    sent = b" " + frame.header.model_dump_json().encode()
    long = sent + b" " * (64 << 10)
    packer = Packer(compression)
    try:
        packings = [packer.submit(frame, AsPublished(header_json=text)) for text in (sent, long, None)]
        packer.dispatch()
        texts = [packing.result().header_json for packing in packings]
    finally:
        packer.close()
    assert texts == [sent, sent[1:], sent[1:]], "but where it is too long for a record"
