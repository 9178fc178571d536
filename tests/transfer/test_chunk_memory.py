"""Memory of chunks: aligned, in huge pages, used again once nobody refers to it, and never before."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from eucentric_transfer import _shard_codec, store_array
from eucentric_transfer._blosc2_library import compress_by_package, thread_compressor
from eucentric_transfer._chunk_memory import (
    BLOCK_BYTES,
    address_of,
    has_huge_pages,
    is_lent,
    lend_memory,
)

ODD_BYTES = 7 * BLOCK_BYTES + 1
"""A length that nothing else here has."""


def test_memory_begins_at_a_block_and_consists_of_whole_ones() -> None:
    memory = lend_memory(ODD_BYTES)
    assert address_of(memory.data) % BLOCK_BYTES == 0
    assert memory.nbytes == 8 * BLOCK_BYTES


def test_memory_is_used_again_when_the_last_view_is_gone() -> None:
    memory = lend_memory(ODD_BYTES)
    address, view = address_of(memory.data), memory[100:200].data
    del memory
    other = lend_memory(ODD_BYTES)
    assert address_of(other.data) != address, "a view still refers to it"
    del view
    assert address_of(lend_memory(ODD_BYTES).data) == address


def test_pieces_that_are_lent_at_a_time_share_no_byte() -> None:
    pieces = [lend_memory(ODD_BYTES + BLOCK_BYTES) for _ in range(5000)]
    begins = sorted(address_of(piece.data) for piece in pieces)
    assert min(np.diff(begins)) >= pieces[0].nbytes
    assert all(is_lent(begin) for begin in begins)
    assert not is_lent(address_of(bytes(ODD_BYTES)))


def test_the_system_is_asked_for_huge_pages() -> None:
    if not has_huge_pages():
        pytest.skip("this system has no huge pages for who asks")
    # Whether it has any left just then is its own business.
    assert "hg" in flags_of(address_of(lend_memory(32 << 20).data))


def flags_of(address: int) -> list[str]:
    """What Linux says of the mapping that an address lies in."""
    found = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if bounds := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            found = int(bounds[1], 16) <= address < int(bounds[2], 16)
        elif found and line.startswith("VmFlags:"):
            return line.split()[1:]
    return []


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_the_library_makes_what_the_package_makes(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    array = np.random.default_rng(4).poisson(3, (160, 128)).astype(dtype)
    compressor = thread_compressor(array.itemsize, array.nbytes)
    if compressor is None:
        pytest.skip("the wheel of blosc2 brings no library here")
    target = np.empty(array.nbytes, np.uint8)
    n_bytes = compressor.compress(array, target)
    assert target[:n_bytes].tobytes() == compress_by_package(array)
    stored = bytes(store_array(array, "blosc2-lz4").content)
    monkeypatch.setattr(_shard_codec, "thread_compressor", lambda _itemsize, _nbytes: None)
    assert stored == bytes(store_array(array, "blosc2-lz4").content)


def test_what_was_compressed_before_does_not_show() -> None:
    large = np.random.default_rng(4).poisson(3, (512, 512)).astype(np.uint16)
    small = np.ascontiguousarray(large[:160, :128])
    store_array(large, "blosc2-lz4")
    compressor = thread_compressor(small.itemsize, small.nbytes)
    if compressor is None:
        pytest.skip("the wheel of blosc2 brings no library here")
    target = np.empty(small.nbytes, np.uint8)
    assert target[: compressor.compress(small, target)].tobytes() == compress_by_package(small)


def test_compressors_of_a_thread_are_few() -> None:
    if thread_compressor(2, 4096) is None:
        pytest.skip("the wheel of blosc2 brings no library here")
    first = thread_compressor(2, 4096)
    assert thread_compressor(2, 4096) is first
    for nbytes in range(8192, 8192 + 64 * 512, 512):
        thread_compressor(2, nbytes)
    assert thread_compressor(2, 4096) is not first


def test_the_rest_of_the_last_block_of_a_chunk_is_zero() -> None:
    array = np.random.default_rng(4).poisson(3, (160, 128)).astype(np.uint16)
    for _ in range(2):
        stored = store_array(array, "blosc2-lz4")
        if stored.blocks is None:
            pytest.skip("the wheel of blosc2 brings no library here")
        blocks = bytes(stored.blocks)
        assert len(blocks) % BLOCK_BYTES == 0
        assert blocks[: stored.size_bytes] == bytes(stored.content)
        assert blocks[stored.size_bytes :].strip(b"\0") == b""
