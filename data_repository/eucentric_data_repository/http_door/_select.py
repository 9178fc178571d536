"""From a data set, a stream and a slice to frames: only the shards and chunks that are touched are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from eucentric_core import DataFormatError, FrameHeader
from eucentric_transfer import ShardReader

from .._catalogue import Catalogue
from .._entries import ShardEntry
from .._intact import require_intact
from ._errors import GoneError, SelectionError, TooLargeError

__all__ = ["MAX_FRAMES", "FrameSlice", "parse_slice", "require_here", "select_frames", "too_large"]

MAX_FRAMES = 4096
"""Most frames in one answer."""


def parse_slice(name: str, text: str | None) -> slice:
    """`10:20`, `10:`, `:20` or one number; the last is not part of it, as in NumPy. None is all.

    Raises:
        SelectionError: it is none of these.
    """
    if text is None:
        return slice(None)
    start, colon, stop = text.partition(":")
    try:
        numbers = [int(part) if part else None for part in (start, stop)]
    except ValueError:
        numbers = [-1, -1]
    first, last = numbers
    if not colon and first is not None:
        last = first + 1
    if (not colon and first is None) or any(number is not None and number < 0 for number in numbers):
        raise SelectionError(
            f"{name}={text[:60]!r} is no slice.",
            safe="nothing was read.",
            next_step=f"write {name}=10:20 for the pixels from 10 up to and without 20.",
        )
    return slice(first, last)


@dataclass(frozen=True, slots=True)
class FrameSlice:
    """The chosen part of each frame of a stream, in order of the sequence numbers."""

    stream: str
    headers: tuple[FrameHeader, ...]
    shapes: tuple[tuple[int, ...], ...]
    _entries: tuple[ShardEntry, ...] = field(repr=False)
    _window: tuple[slice, ...] = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Size of the answer's arrays in bytes."""
        sizes = zip(self.headers, self.shapes, strict=True)
        return sum(prod(shape) * np.dtype(header.dtype).itemsize for header, shape in sizes)

    @property
    def uniform(self) -> bool:
        """Whether the parts can be stacked to one array."""
        return (
            len({(header.dtype, shape) for header, shape in zip(self.headers, self.shapes, strict=True)}) == 1
        )

    def arrays(self) -> Iterator[npt.NDArray[Any]]:
        """The parts, one at a time."""
        wanted = {header.sequence for header in self.headers}
        for entry in self._entries:
            with ShardReader(entry.path) as reader:
                for frame in reader.frames(self.stream, only=wanted):
                    yield np.ascontiguousarray(frame.array[self._window[: frame.array.ndim]])


def select_frames(
    catalogue: Catalogue,
    dataset_id: str,
    stream: str,
    *,
    start: int = 0,
    stop: int | None = None,
    rows: slice = slice(None),
    columns: slice = slice(None),
    max_bytes: int | None,
) -> FrameSlice:
    """Choose a part of a stream by sequence numbers, rows (first axis) and columns (second axis).

    Reads headers, and hashes each shard that was not hashed before. `max_bytes` is of the arrays, None where
    they are not asked for.

    Raises:
        ConfigurationError: no such data set.
        SelectionError: no such stream or frames, or a slice that selects nothing.
        GoneError: a shard that is needed was pruned.
        TooLargeError: more than `max_bytes` or `MAX_FRAMES`.
        DataFormatError: a shard cannot be read.
        IntegrityError: a shard is damaged.
        ServiceUnavailableError: the repository's root is away.
    """
    details = catalogue.dataset(dataset_id)
    if stream not in {found.stream for found in details.streams}:
        known = ", ".join(found.stream for found in details.streams) or "none yet"
        raise SelectionError(
            f"Data set {dataset_id} has no stream {stream[:80]!r}.",
            safe="nothing was read.",
            next_step=f"it has {known}.",
        )
    last = None if stop is None else stop - 1
    headers: list[FrameHeader] = []
    entries: list[ShardEntry] = []
    for entry in catalogue.shards(dataset_id=dataset_id, from_sequence=start, to_sequence=last):
        if stream not in entry.shard.streams:
            continue
        require_here(entry)
        try:
            with ShardReader(entry.path) as reader:
                held = [
                    header
                    for header in reader.headers(stream)
                    if header.sequence >= start and (last is None or header.sequence <= last)
                ]
        except DataFormatError:
            require_intact(catalogue.root, entry)
            raise
        if held:
            headers += held
            entries.append(entry)
        if len(headers) > MAX_FRAMES:
            raise too_large(f"more than {MAX_FRAMES} frames")
    if not headers:
        raise SelectionError(
            f"Stream {stream} of {dataset_id} has no frame with these sequence numbers.",
            safe="nothing was read.",
            next_step="start and stop are sequence numbers; /datasets/{id}/shards lists them.",
        )
    window = (rows, columns)
    shapes = tuple(_shape(header, window) for header in headers)
    chosen = FrameSlice(stream, tuple(headers), shapes, tuple(entries), window)
    if max_bytes is not None and chosen.nbytes > max_bytes:
        raise too_large(f"{chosen.nbytes} bytes, the limit is {max_bytes}")
    # Only now: hashing reads whole files, and what is too large is refused before.
    for entry in entries:
        require_intact(catalogue.root, entry)
    return chosen


def require_here(entry: ShardEntry) -> None:
    """Let a shard pass whose file is kept.

    Raises:
        GoneError: it was pruned.
    """
    if entry.state == "pruned":
        raise GoneError(
            f"{entry.shard.file_name} was pruned on {entry.pruned_utc:%Y-%m-%d}: {entry.pruned_why}.",
            safe="its hash and provenance are kept.",
            next_step="fetch a copy from an archive, or name other sequence numbers.",
            sha256=entry.shard.sha256,
        )


def _shape(header: FrameHeader, window: tuple[slice, slice]) -> tuple[int, ...]:
    asked = sum(part != slice(None) for part in window[len(header.shape) :])
    if asked:
        raise SelectionError(
            f"Frame {header.sequence} has {len(header.shape)} axes; rows and columns are the first two.",
            safe="nothing was read.",
            next_step="leave out the slice that it has no axis for.",
        )
    shape = list(header.shape)
    for axis, part in enumerate(window[: len(shape)]):
        shape[axis] = len(range(*part.indices(shape[axis])))
        if not shape[axis] and header.shape[axis]:
            raise SelectionError(
                f"The slice selects nothing of frame {header.sequence}, whose shape is {list(header.shape)}.",
                safe="nothing was read.",
                next_step="choose rows and columns within the frame.",
            )
    return tuple(shape)


def too_large(what: str) -> TooLargeError:
    """What is said instead of an answer that would be too large."""
    return TooLargeError(
        f"The answer would have {what}.",
        safe="nothing was read.",
        next_step="ask for fewer frames, rows or columns at a time, or `eucentric data get` the files.",
    )
