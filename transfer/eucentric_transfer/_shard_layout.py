"""The layout of a shard file (HDF5, NeXus), version 2.

```
/                    NXroot   attributes: format, format_version, instrument, session, simulated, software
/entry               NXentry  attribute default: the image stream a viewer shows first
/entry/definition, title, start_time, end_time, program_name; /entry/sample, /entry/instrument: `_shard_facts`
/entry/vendor        vendor_metadata (k,) UTF-8 JSON, each distinct text once
/entry/<stream>      NXdata   attribute stream; one group per stream, shape and dtype
    headers          (n,)     UTF-8 JSON, one `FrameHeader` each, without its vendor metadata
    sequence         (n,)     int64, each once, in the order of arrival
    vendor_index     (n,)     int32, row of vendor_metadata, -1: none; missing if no frame has any
  one of
    data             (n, ...) one frame per chunk, Blosc2 (filter 32026) or as it is; calibrated axes;
                              attribute uncompressed_frames of the group: how many are as they are
    values, offsets  tables:  rows `offsets[i]:offsets[i+1]` of `values` are array i
```
A stream that changes its shape goes on in a further group, `PART<k>_<stream>`. Version 1, which is still
read, has neither facts nor filters nor parts; it knows `bytes, offsets` for arrays of mixed shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from eucentric_core import Axis, FrameHeader

from ._shard_refusal import refuse

__all__ = [
    "SHARD_FORMAT_VERSION",
    "StreamLayout",
    "common_axes",
    "group_name",
    "is_table",
    "layout_of",
    "refuse",
]

SHARD_FORMAT = "eucentric-shard"
SHARD_FORMAT_VERSION = 2
READABLE_VERSIONS = frozenset({1, 2})
MAX_FRAMES_PER_STREAM = 65_536
MAX_HEADER_BYTES = 64 << 10
MAX_STREAMS = 64
FACTS = frozenset(
    {"definition", "title", "start_time", "end_time", "program_name", "sample", "instrument", "vendor"}
)
RESERVED_FIELDS = frozenset(
    {"data", "values", "bytes", "offsets", "headers", "sequence", "vendor_index", "stream", "signal", "axes"}
)

StreamLayout = Literal["data", "values", "bytes"]


def is_table(header: FrameHeader) -> bool:
    """Whether an array is a list of any number of rows: `truth` is one, an image is not."""
    return len(header.shape) == 2 and not header.axes and bool(header.classes)


def group_name(stream: str, part: int) -> str:
    """Name of a stream's group; no stream has capitals in its name."""
    if part:
        return f"PART{part}_{stream}"
    return f"STREAM_{stream}" if stream in FACTS else stream


def layout_of(headers: Sequence[FrameHeader], version: int = SHARD_FORMAT_VERSION) -> StreamLayout:
    """How the arrays of one group are stored: stacked, ragged along the first axis, or as bytes."""
    if version > 1:
        return "values" if is_table(headers[0]) else "data"
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
