"""How frames lie in OME-Zarr: which dimensions, in which unit, cut into which files. Pure decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

import numpy as np

from eucentric_core import Axis, FrameHeader

from ._pyramid import pyramid_sides

__all__ = ["OmeAxis", "OmeLayout", "layout_for", "why_not"]

_SHARD_BYTES = 64 << 20
_CHUNK_SIDE_PX = 512
_CHUNK_CHANNELS = 64
_MAP_CHUNK_SIDE_PX = 32
_NANO: Mapping[str, float] = MappingProxyType({"m": 1e9})


@dataclass(frozen=True, slots=True)
class OmeAxis:
    """A dimension: `coordinate = offset + scale * index` in `unit`."""

    name: str
    type: str
    unit: str | None
    scale: float
    offset: float


@dataclass(frozen=True, slots=True)
class OmeLayout:
    """How one series of frames is stored.

    Attributes:
        axes: t, then c if the frames are spectrum images, then y and x.
        transpose: dimensions of a frame in the order of `axes[1:]`.
        sides: `(ny, nx)` of the levels of the pyramid, the full image first.
        chunk: shape of what is compressed as one.
        frames_per_shard: how many frames go into one file.
    """

    axes: tuple[OmeAxis, ...]
    transpose: tuple[int, ...]
    sides: tuple[tuple[int, int], ...]
    chunk: tuple[int, ...]
    frames_per_shard: int

    def shape(self, level: int, frames: int, header: FrameHeader) -> tuple[int, ...]:
        """Shape of a level's array."""
        channels = tuple(header.shape[dimension] for dimension in self.transpose[:-2])
        return (frames, *channels, *self.sides[level])

    def shard(self, level: int, header: FrameHeader) -> tuple[int, ...]:
        """Shape of what goes into one file: whole frames, filled up to whole chunks."""
        return (
            self.frames_per_shard,
            *(
                -(-length // chunk) * chunk
                for length, chunk in zip(
                    self.shape(level, 1, header)[1:], self.chunk_of(level, header)[1:], strict=True
                )
            ),
        )

    def chunk_of(self, level: int, header: FrameHeader) -> tuple[int, ...]:
        """Shape of a level's chunks: never larger than the level."""
        return tuple(map(min, self.chunk, self.shape(level, 1, header)))

    def scale(self, level: int) -> list[float]:
        """Scale of every dimension at a level; y and x grow by two a level."""
        return [axis.scale * (2**level if axis.name in "yx" else 1) for axis in self.axes]

    def translation(self, level: int) -> list[float]:
        """Coordinates of the first element at a level: the middle of the pixels that it stands for."""
        half = (2**level - 1) / 2
        return [axis.offset + (axis.scale * half if axis.name in "yx" else 0.0) for axis in self.axes]


def why_not(header: FrameHeader) -> str | None:
    """Why frames cannot be stored as OME-Zarr; None if they can be."""
    if header.stream == "truth" or header.classes:
        return "labels are positions and classes, no image"
    if 0 in header.shape:
        return "it holds no pixels"
    names = tuple(axis.name for axis in header.axes)
    units = {axis.name: axis.unit for axis in header.axes}
    if len(header.shape) == 2 and (not names or names == ("y", "x")):
        return None
    if names == ("y", "x", "energy") and units["y"] == units["x"] == "m":
        return None
    if "energy" in names and len(names) <= 2:
        return "OME-Zarr holds images; a spectrum or a line of spectra is none"
    return "OME-Zarr knows no such axes: " + ", ".join(f"{name} ({units[name]})" for name in names)


def layout_for(header: FrameHeader, frames: int) -> OmeLayout:
    """The layout of a series of like frames; see `why_not` for which can have one.

    Args:
        header: of any of them.
        frames: how many there are.
    """
    named = {axis.name: axis for axis in header.axes}
    axes = [OmeAxis("t", "time", None, 1.0, 0.0)]
    transpose: tuple[int, ...] = (0, 1)
    ny, nx = header.shape[0], header.shape[1]
    chunk: tuple[int, ...] = (1, _CHUNK_SIDE_PX, _CHUNK_SIDE_PX)
    if "energy" in named:
        energy = named["energy"]
        axes.append(OmeAxis("c", "channel", "electronvolt", energy.scale, energy.offset))
        transpose = (2, 0, 1)
        chunk = (1, _CHUNK_CHANNELS, _MAP_CHUNK_SIDE_PX, _MAP_CHUNK_SIDE_PX)
    axes += [_space(name, named.get(name)) for name in ("y", "x")]
    frame_bytes = max(1, prod(header.shape) * np.dtype(header.dtype).itemsize)
    return OmeLayout(
        axes=tuple(axes),
        transpose=transpose,
        sides=tuple(pyramid_sides(ny, nx)),
        chunk=chunk,
        frames_per_shard=max(1, min(frames, _SHARD_BYTES // frame_bytes)),
    )


def _space(name: str, axis: Axis | None) -> OmeAxis:
    if axis is None or axis.unit not in _NANO:
        return OmeAxis(name, "space", None, 1.0, 0.0)
    factor = _NANO[axis.unit]
    return OmeAxis(name, "space", "nanometer", axis.scale * factor, axis.offset * factor)
