"""Writing a shard: frames in, one closed and durable HDF5 file out."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from eucentric_core import DataFormatError, Frame, OutOfSpaceError

from ._shard_layout import SHARD_FORMAT, SHARD_FORMAT_VERSION, common_axes, layout_of

__all__ = ["write_shard"]


def _by_stream(frames: Sequence[Frame]) -> dict[str, list[Frame]]:
    streams: dict[str, list[Frame]] = {}
    for frame in sorted(frames, key=lambda frame: (frame.header.stream, frame.header.sequence)):
        streams.setdefault(frame.header.stream, []).append(frame)
    origins = {(frame.header.instrument, frame.header.session) for frame in frames}
    numbers = {(frame.header.stream, frame.header.sequence) for frame in frames}
    if len(origins) != 1 or len(numbers) != len(frames):
        raise DataFormatError(
            "A shard holds frames of one session, each sequence number once per stream.",
            safe="no file was written.",
            next_step="report this: the recorder grouped its frames wrongly.",
        )
    return streams


def _write_stack(group: h5py.Group, frames: Sequence[Frame]) -> None:
    headers = [frame.header for frame in frames]
    shape = headers[0].shape
    # One frame per chunk: frames are written and read one at a time. HDF5 has no empty chunks.
    chunks = (1, *shape) if 0 not in shape else None
    data = group.create_dataset("data", (len(frames), *shape), dtype=headers[0].dtype, chunks=chunks)
    for index, frame in enumerate(frames):
        data[index] = frame.array
    names = ["sequence"]
    for dimension, axis in enumerate(common_axes(headers)):
        if axis is None:
            names.append(".")
            continue
        values = group.create_dataset(axis.name, data=axis.offset + axis.scale * np.arange(shape[dimension]))
        values.attrs["units"] = axis.unit
        group.attrs[f"{axis.name}_indices"] = dimension + 1
        names.append(axis.name)
    group.attrs["signal"] = "data"
    group.attrs["axes"] = names
    group.attrs["sequence_indices"] = 0


def _write_ragged(group: h5py.Group, field: str, arrays: Sequence[np.ndarray]) -> None:
    offsets = np.cumsum([0, *(len(array) for array in arrays)], dtype=np.int64)
    first = arrays[0]
    values = group.create_dataset(field, (int(offsets[-1]), *first.shape[1:]), dtype=first.dtype)
    for array, start, stop in zip(arrays, offsets[:-1], offsets[1:], strict=True):
        if array.size:
            values[start:stop] = array
    group.create_dataset("offsets", data=offsets)
    group.attrs["signal"] = field


def _write_stream(group: h5py.Group, frames: Sequence[Frame]) -> None:
    headers = [frame.header for frame in frames]
    group.attrs["NX_class"] = "NXdata"
    group.create_dataset(
        "headers", data=[header.model_dump_json() for header in headers], dtype=h5py.string_dtype()
    )
    group.create_dataset("sequence", data=np.array([header.sequence for header in headers], dtype=np.int64))
    match layout_of(headers):
        case "data":
            _write_stack(group, frames)
        case "values":
            native = [np.asarray(frame.array, dtype=frame.header.dtype) for frame in frames]
            _write_ragged(group, "values", native)
        case "bytes":
            native = [np.ascontiguousarray(frame.array, dtype=frame.header.dtype) for frame in frames]
            _write_ragged(group, "bytes", [array.reshape(-1).view(np.uint8) for array in native])


def _write(path: Path, streams: dict[str, list[Frame]], software: str) -> None:
    first = next(iter(streams.values()))[0].header
    everything = [frame.header for frames in streams.values() for frame in frames]
    with h5py.File(path, "w") as file:
        file.attrs["NX_class"] = "NXroot"
        file.attrs["default"] = "entry"
        file.attrs["format"] = SHARD_FORMAT
        file.attrs["format_version"] = SHARD_FORMAT_VERSION
        file.attrs["instrument"] = first.instrument
        file.attrs["session"] = first.session
        file.attrs["simulated"] = any(header.simulated for header in everything)
        file.attrs["software"] = software
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        first_headers = {name: frames[0].header for name, frames in streams.items()}
        images = [name for name, header in first_headers.items() if len(header.axes) == 2]
        entry.attrs["default"] = (images or list(streams))[0]
        for name, frames in streams.items():
            _write_stream(entry.create_group(name), frames)


def write_shard(path: Path, frames: Sequence[Frame], *, software: str) -> None:
    """Write frames of one session as one HDF5/NeXus file and fsync it.

    The same frames give the same bytes, so that a seal that was interrupted and is done again ends
    under the same content hash. Give a temporary name: until this returns, the file is incomplete.

    Args:
        path: file to write; overwritten if it exists.
        frames: at least one; any streams, any order.
        software: name and version of the writer, for provenance.

    Raises:
        DataFormatError: frames of several sessions, or a sequence number twice in a stream.
        OutOfSpaceError: the disk is full; the partial file is gone.
        OSError: the disk failed in another way; the partial file is gone.
    """
    streams = _by_stream(frames)
    try:
        _write(path, streams, software)
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:
        path.unlink(missing_ok=True)
        number = getattr(error, "errno", None)
        # HDF5 reports a full disk while flushing as a RuntimeError that has the number in its text only.
        if number in (errno.ENOSPC, errno.EDQUOT) or f"errno = {errno.ENOSPC}" in str(error):
            raise OutOfSpaceError(
                f"No room to write a shard of {len(frames)} frames.",
                safe="the partial file is removed; the frames are still in the spool.",
                next_step=f"free space in {path.parent}; it is tried again.",
            ) from error
        if isinstance(error, RuntimeError):
            raise OSError(errno.EIO, f"HDF5: {error}") from error
        raise
