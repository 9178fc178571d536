"""The layout of a shard file (HDF5, NeXus), version 1.

```
/                    NXroot   attributes: format, format_version, instrument, session, simulated, software
/entry               NXentry  attribute default: the image stream a viewer shows first
/entry/<stream>      NXdata   one group per stream
    headers          (n,)     UTF-8 JSON, one `FrameHeader` each
    sequence         (n,)     int64, ascending
  one of
    data             (n, ...) all arrays of one shape and dtype; signal, with calibrated axes
    values, offsets  ragged: rows `offsets[i]:offsets[i+1]` of `values` are array i
    bytes, offsets   anything else: bytes `offsets[i]:offsets[i+1]`, dtype and shape as the header says
```
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from eucentric_core import Axis, DataFormatError, FrameHeader

__all__ = ["SHARD_FORMAT_VERSION", "StreamLayout", "common_axes", "layout_of", "refuse"]

SHARD_FORMAT = "eucentric-shard"
SHARD_FORMAT_VERSION = 1
MAX_FRAMES_PER_STREAM = 65_536
MAX_HEADER_BYTES = 64 << 10
MAX_STREAMS = 64
RESERVED_FIELDS = frozenset({"data", "values", "bytes", "offsets", "headers", "sequence"})

StreamLayout = Literal["data", "values", "bytes"]


def refuse(what: str) -> DataFormatError:
    """The error for a file that is no shard."""
    return DataFormatError(
        what, safe="nothing of the file was used.", next_step="quarantine it and ask for it again."
    )


def layout_of(headers: Sequence[FrameHeader]) -> StreamLayout:
    """How the arrays of one stream are stored: stacked, ragged along the first axis, or as bytes."""
    if len({(header.shape, header.dtype) for header in headers}) == 1:
        return "data"
    rows = {(header.shape[1:], header.dtype, bool(header.shape)) for header in headers}
    if len(rows) == 1 and headers[0].shape:
        return "values"
    return "bytes"


def common_axes(headers: Sequence[FrameHeader]) -> tuple[Axis | None, ...]:
    """Per dimension the calibration that all frames of a stack share, None where they differ."""
    per_dimension = zip(*(header.axes for header in headers), strict=False)
    shared = [axes[0] if len(set(axes)) == 1 else None for axes in per_dimension]
    shared += [None] * (len(headers[0].shape) - len(shared))
    seen = set(RESERVED_FIELDS)
    for index, axis in enumerate(shared):
        if axis is None or axis.name in seen:
            shared[index] = None
        else:
            seen.add(axis.name)
    return tuple(shared)
