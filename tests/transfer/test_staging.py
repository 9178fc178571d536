"""Buffers are copied where a disk takes them faster: whole, in their order, into memory that is lent."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np
import pytest

from eucentric_transfer._chunk_memory import address_of, is_lent
from eucentric_transfer._staging import STAGED_BYTES, stage

PIECE_BYTES = 128 << 10


@pytest.fixture
def ring() -> memoryview:
    """Pages that others could see, filled with noise."""
    memory = mmap.mmap(-1, 16 * PIECE_BYTES)
    memory[:] = np.random.default_rng(1).bytes(len(memory))
    return memoryview(memory)


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes were copied at a time."""
    copied: list[int] = []

    def move(target: int, source: int, n_bytes: int) -> None:
        copied.append(n_bytes)
        memmove(target, source, n_bytes)

    memmove = ctypes.memmove
    monkeypatch.setattr(ctypes, "memmove", move)
    return copied


def pieces_of(ring: memoryview, order: list[int]) -> list[memoryview]:
    return [ring[number * PIECE_BYTES : (number + 1) * PIECE_BYTES] for number in order]


@pytest.mark.parametrize(
    ("order", "at_a_time"),
    [([0, 1, 2, 3], [4]), ([4, 5, 0, 1, 2], [2, 3]), ([3, 1, 2, 0], [1, 2, 1]), ([7], [1]), ([], [])],
)
def test_what_follows_each_other_is_copied_at_once(
    ring: memoryview, lengths: list[int], order: list[int], at_a_time: list[int]
) -> None:
    pieces = pieces_of(ring, order)
    staged = stage(pieces)
    assert [bytes(copy) for copy in staged] == [bytes(piece) for piece in pieces]
    assert all(is_lent(address_of(copy)) for copy in staged)
    assert lengths == [count * PIECE_BYTES for count in at_a_time]


def test_a_copy_stays_when_the_original_changes(ring: memoryview) -> None:
    before = bytes(ring[:PIECE_BYTES])
    (copy,) = stage([ring[:PIECE_BYTES]])
    ring[:PIECE_BYTES] = bytes(PIECE_BYTES)
    assert bytes(copy) == before


def test_more_than_is_lent_at_a_time_goes_into_several() -> None:
    large = [np.full(STAGED_BYTES // 2 + 4096, number, np.uint8).data for number in range(3)]
    staged = stage(large)
    assert [bytes(copy[:2]) for copy in staged] == [bytes([number] * 2) for number in range(3)]
    assert all(copy == original for copy, original in zip(staged, large, strict=True))
