"""What a search wants to know about a shard, read from its frames' headers; data sets add theirs up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal, get_args

from pydantic import Field

from eucentric_core import FrameHeader, FrozenModel, UtcDatetime
from eucentric_transfer import ShardReader

__all__ = ["QUANTITIES", "Quantity", "QuantityRange", "ShardFacts", "StreamFacts", "facts_of", "merged"]

Quantity = Literal[
    "pixel_size_m",
    "high_tension_v",
    "beam_current_a",
    "convergence_angle_rad",
    "defocus_m",
    "field_of_view_m",
    "dwell_time_s",
    "dose_e_per_a2",
]
"""What data sets can be searched by, in the units of the names."""

QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)


class QuantityRange(FrozenModel):
    """Smallest and largest value of a quantity, in the unit of its name."""

    name: Quantity
    minimum: float
    maximum: float


class StreamFacts(FrozenModel):
    """One stream: how many frames, of which type, and the shape of the largest.

    `uniform` says whether all frames have this shape and type.
    """

    stream: str
    frames: Annotated[int, Field(ge=0)]
    dtype: str
    shape: tuple[int, ...]
    uniform: bool


class ShardFacts(FrozenModel):
    """What the headers of a shard, or of all shards of a data set, say."""

    first_acquired_utc: UtcDatetime
    last_acquired_utc: UtcDatetime
    streams: tuple[StreamFacts, ...]
    quantities: tuple[QuantityRange, ...]


def _values(header: FrameHeader) -> Iterator[tuple[Quantity, float]]:
    # Both axes count: a scan may have oblong pixels. A `truth` table has no axes, spectra none in metres.
    for axis in header.axes:
        if axis.unit == "m":
            yield "pixel_size_m", axis.scale
    optics = header.optics
    known: dict[Quantity, float | None] = {
        "high_tension_v": optics.high_tension_v,
        "beam_current_a": optics.beam_current_a,
        "convergence_angle_rad": optics.convergence_angle_rad,
        "defocus_m": optics.defocus_m,
        "field_of_view_m": optics.field_of_view_m,
        "dwell_time_s": optics.dwell_time_s,
        "dose_e_per_a2": header.dose_e_per_a2,
    }
    for name, value in known.items():
        if value is not None:
            yield name, value


def _stream(stream: str, parts: Sequence[StreamFacts]) -> StreamFacts:
    largest = max(parts, key=lambda part: _size(part.shape))
    return StreamFacts(
        stream=stream,
        frames=sum(part.frames for part in parts),
        dtype=largest.dtype,
        shape=largest.shape,
        uniform=all(
            part.uniform and (part.shape, part.dtype) == (largest.shape, largest.dtype) for part in parts
        ),
    )


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def facts_of(reader: ShardReader) -> ShardFacts:
    """What the headers of an open shard say. Arrays are not read."""
    headers = [header for stream in reader.streams for header in reader.headers(stream)]
    return merged([_facts(header) for header in headers])


def _facts(header: FrameHeader) -> ShardFacts:
    return ShardFacts(
        first_acquired_utc=header.acquired_utc,
        last_acquired_utc=header.acquired_utc,
        streams=(
            StreamFacts(stream=header.stream, frames=1, dtype=header.dtype, shape=header.shape, uniform=True),
        ),
        quantities=tuple(
            QuantityRange(name=name, minimum=value, maximum=value) for name, value in _values(header)
        ),
    )


def merged(parts: Sequence[ShardFacts]) -> ShardFacts:
    """The facts of several parts together, in whatever order they come. At least one."""
    streams: dict[str, list[StreamFacts]] = {}
    ranges: dict[Quantity, list[QuantityRange]] = {}
    for part in parts:
        for stream in part.streams:
            streams.setdefault(stream.stream, []).append(stream)
        for found in part.quantities:
            ranges.setdefault(found.name, []).append(found)
    return ShardFacts(
        first_acquired_utc=min(part.first_acquired_utc for part in parts),
        last_acquired_utc=max(part.last_acquired_utc for part in parts),
        streams=tuple(_stream(name, streams[name]) for name in sorted(streams)),
        quantities=tuple(_range(name, ranges[name]) for name in QUANTITIES if name in ranges),
    )


def _range(name: Quantity, ranges: Iterable[QuantityRange]) -> QuantityRange:
    found = list(ranges)
    return QuantityRange(
        name=name,
        minimum=min(part.minimum for part in found),
        maximum=max(part.maximum for part in found),
    )
