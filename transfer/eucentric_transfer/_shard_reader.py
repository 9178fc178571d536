"""Reading a shard with distrust: whatever is not exactly the layout is a `DataFormatError`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np
from pydantic import ValidationError

from eucentric_core import EucentricError, Frame, FrameHeader

from ._shard_layout import (
    MAX_FRAMES_PER_STREAM,
    MAX_HEADER_BYTES,
    MAX_STREAMS,
    SHARD_FORMAT,
    SHARD_FORMAT_VERSION,
    layout_of,
    refuse,
)

__all__ = ["ShardReader"]


@contextmanager
def _refusing_malformed(path: Path) -> Iterator[None]:
    try:
        yield
    except EucentricError:
        raise
    except FileNotFoundError as error:
        raise refuse(f"The shard {path.name} is missing.") from error
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, ValidationError) as error:
        # What h5py raises on a damaged file depends on which byte is damaged.
        raise refuse(f"{path.name} is not a readable shard: {error}.") from error


def _member(group: h5py.Group, name: str, kind: type) -> h5py.Group | h5py.Dataset:
    link = group.get(name, getlink=True)
    found = group[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(found, kind):
        raise refuse(f"{group.name}/{name} is not a plain {kind.__name__.lower()} of this file.")
    if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
        raise refuse(f"{found.name} keeps its data in another file.")
    return found


def _parse_headers(group: h5py.Group) -> tuple[FrameHeader, ...]:
    texts = _member(group, "headers", h5py.Dataset)
    if texts.ndim != 1 or not 1 <= len(texts) <= MAX_FRAMES_PER_STREAM:
        raise refuse(f"{group.name} announces {texts.shape} headers.")
    headers = []
    for index in range(len(texts)):
        text = texts[index]
        if len(text) > MAX_HEADER_BYTES:
            raise refuse(f"Header {index} of {group.name} has {len(text)} bytes.")
        headers.append(FrameHeader.model_validate_json(text))
    return tuple(headers)


class _Stream:
    """One stream of an open shard: its headers and where each array lies."""

    def __init__(self, group: h5py.Group, instrument: str, session: str) -> None:
        name = group.name.rpartition("/")[2]
        self.headers = _parse_headers(group)
        numbers = [header.sequence for header in self.headers]
        if numbers != sorted(set(numbers)):
            raise refuse(f"The sequence numbers of {name} do not ascend.")
        if {(header.stream, header.instrument, header.session) for header in self.headers} != {
            (name, instrument, session)
        }:
            raise refuse(f"A header of {name} belongs to another stream or session.")
        self._layout = layout_of(self.headers)
        self._values = _member(group, self._layout, h5py.Dataset)
        self._offsets = self._read_offsets(group) if self._layout != "data" else None
        self._check_values()

    def _read_offsets(self, group: h5py.Group) -> list[int]:
        offsets = _member(group, "offsets", h5py.Dataset)
        if offsets.shape != (len(self.headers) + 1,) or offsets.dtype.kind != "i":
            raise refuse(f"{offsets.name} has shape {offsets.shape}.")
        return [int(offset) for offset in offsets[:]]

    def _check_values(self) -> None:
        first = self.headers[0]
        expected: tuple[int, ...]
        match self._layout:
            case "data":
                expected, dtype = (len(self.headers), *first.shape), first.dtype
            case "values":
                lengths = [header.shape[0] for header in self.headers]
                expected, dtype = (sum(lengths), *first.shape[1:]), first.dtype
            case "bytes":
                lengths = [header.nbytes for header in self.headers]
                expected, dtype = (sum(lengths),), "uint8"
        if self._values.shape != expected or self._values.dtype.name != dtype:
            raise refuse(f"{self._values.name} is {self._values.dtype}{list(self._values.shape)}.")
        if self._offsets is not None and self._offsets != [0, *np.cumsum(lengths).tolist()]:
            raise refuse(f"The offsets of {self._values.name} do not match its headers.")

    def frame(self, index: int) -> Frame:
        header = self.headers[index]
        # The allocation is bounded: FrameHeader refuses shapes of more than MAX_FRAME_BYTES.
        if self._offsets is None:
            array = np.empty(header.shape, header.dtype)
            if array.size:
                self._values.read_direct(array, np.s_[index])
        else:
            rows = self._values[self._offsets[index] : self._offsets[index + 1]]
            array = rows if self._layout == "values" else rows.view(header.dtype).reshape(header.shape)
        array.flags.writeable = False
        return Frame(header, array)


class ShardReader:
    """An open shard. Frames are read one at a time; nothing is held but their headers.

    Raises:
        DataFormatError: the file is missing, truncated, damaged, of a newer format, or no shard.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _refusing_malformed(path):
            self._file = h5py.File(path, "r")
            try:
                self._open()
            except BaseException:
                self._file.close()
                raise

    def _open(self) -> None:
        attributes = self._file.attrs
        if attributes["format"] != SHARD_FORMAT:
            raise refuse(f"{self.path.name} is HDF5, but no shard.")
        if int(attributes["format_version"]) != SHARD_FORMAT_VERSION:
            raise refuse(
                f"{self.path.name} is of format {attributes['format_version']}; this version reads "
                f"{SHARD_FORMAT_VERSION}."
            )
        self.instrument = str(attributes["instrument"])
        self.session = str(attributes["session"])
        self.simulated = bool(attributes["simulated"])
        self.software = str(attributes["software"])
        entry = _member(self._file, "entry", h5py.Group)
        names = sorted(entry)
        if not 1 <= len(names) <= MAX_STREAMS:
            raise refuse(f"{self.path.name} announces {len(names)} streams.")
        self._streams = {
            name: _Stream(_member(entry, name, h5py.Group), self.instrument, self.session) for name in names
        }

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams, sorted."""
        return tuple(self._streams)

    @property
    def sequences(self) -> tuple[int, ...]:
        """Sequence numbers of the acquisitions in this shard, ascending, each once."""
        return tuple(sorted({h.sequence for stream in self._streams.values() for h in stream.headers}))

    def headers(self, stream: str) -> tuple[FrameHeader, ...]:
        """Headers of a stream in ascending order of their sequence; empty if it is not in this shard."""
        found = self._streams.get(stream)
        return found.headers if found is not None else ()

    def frames(self, stream: str, *, from_sequence: int = 0) -> Iterator[Frame]:
        """Frames of a stream from a sequence number on; none if the stream is not in this shard.

        Raises:
            DataFormatError: an array cannot be read.
        """
        for index, header in enumerate(self.headers(stream)):
            if header.sequence >= from_sequence:
                with _refusing_malformed(self.path):
                    frame = self._streams[stream].frame(index)
                yield frame

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
