"""Reading a shard with distrust: whatever is not exactly the layout is a `DataFormatError`."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt
from pydantic import JsonValue, TypeAdapter, ValidationError

from eucentric_core import MAX_VENDOR_METADATA_BYTES, EucentricError, Frame, FrameHeader

from ._shard_codec import BLOSC2_FILTER, max_stored_bytes, restore_array
from ._shard_layout import (
    FACTS,
    MAX_FRAMES_PER_STREAM,
    MAX_HEADER_BYTES,
    MAX_STREAMS,
    READABLE_VERSIONS,
    SHARD_FORMAT,
    SHARD_FORMAT_VERSION,
    is_table,
    layout_of,
    refuse,
)

__all__ = ["ShardReader"]

_VENDOR: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


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


def _read_texts(texts: h5py.Dataset, most: int, max_bytes: int) -> list[bytes]:
    if texts.ndim != 1 or not 1 <= len(texts) <= most:
        raise refuse(f"{texts.name} announces {texts.shape} texts.")
    found = []
    for index in range(len(texts)):
        text = texts[index]
        if not isinstance(text, bytes) or len(text) > max_bytes:
            raise refuse(f"Text {index} of {texts.name} is none, or has {len(text)} bytes.")
        found.append(text)
    return found


def _read_vendor(entry: h5py.Group) -> list[dict[str, JsonValue]]:
    if "vendor" not in entry:
        return []
    texts = _member(_member(entry, "vendor", h5py.Group), "vendor_metadata", h5py.Dataset)
    most = MAX_FRAMES_PER_STREAM * MAX_STREAMS
    return [_VENDOR.validate_json(text) for text in _read_texts(texts, most, MAX_VENDOR_METADATA_BYTES)]


def _parse_headers(group: h5py.Group, vendor: list[dict[str, JsonValue]]) -> tuple[FrameHeader, ...]:
    texts = _member(group, "headers", h5py.Dataset)
    headers = [
        FrameHeader.model_validate_json(text)
        for text in _read_texts(texts, MAX_FRAMES_PER_STREAM, MAX_HEADER_BYTES)
    ]
    if "vendor_index" in group:
        rows = _member(group, "vendor_index", h5py.Dataset)
        if rows.shape != (len(headers),) or rows.dtype.kind != "i":
            raise refuse(f"{rows.name} has shape {rows.shape}.")
        for index, row in enumerate(rows[:]):
            if not -1 <= row < len(vendor):
                raise refuse(f"{rows.name} names the vendor metadata {row} of {len(vendor)}.")
            if row >= 0:
                headers[index] = headers[index].model_copy(update={"vendor_metadata": vendor[row]})
    return tuple(headers)


class _Part:
    """One group of an open shard: its headers and where each array lies."""

    def __init__(
        self,
        group: h5py.Group,
        stream: str,
        reader: ShardReader,
        vendor: list[dict[str, JsonValue]],
    ) -> None:
        self._version = reader.format_version
        self.headers = _parse_headers(group, vendor)
        if {(header.stream, header.instrument, header.session) for header in self.headers} != {
            (stream, reader.instrument, reader.session)
        }:
            raise refuse(f"A header of {group.name} belongs to another stream or session.")
        self._layout = layout_of(self.headers, self._version)
        if self._version > 1:
            self._check_alike(group)
        self._values = _member(group, self._layout, h5py.Dataset)
        self._check_filters()
        self._offsets = self._read_offsets(group) if self._layout != "data" else None
        self._check_values()

    def _check_alike(self, group: h5py.Group) -> None:
        table = self._layout == "values"
        kinds = {
            (header.shape[1:] if table else header.shape, header.dtype, is_table(header))
            for header in self.headers
        }
        if len(kinds) != 1:
            raise refuse(f"The headers of {group.name} announce arrays of several shapes.")

    def _check_filters(self) -> None:
        plist = self._values.id.get_create_plist()
        filters = {plist.get_filter(index)[0] for index in range(plist.get_nfilters())}
        allowed = {BLOSC2_FILTER} if self._layout == "data" and self._version > 1 else set()
        if filters - allowed:
            raise refuse(f"{self._values.name} is stored with the filters {sorted(filters)}.")
        self._chunked = self._version > 1 and self._values.chunks is not None
        if self._chunked and self._values.chunks != (1, *self.headers[0].shape):
            raise refuse(f"{self._values.name} has chunks of {self._values.chunks}.")
        self._filtered = bool(filters)

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
        if self._offsets is not None:
            rows = self._values[self._offsets[index] : self._offsets[index + 1]]
            array = rows if self._layout == "values" else rows.view(header.dtype).reshape(header.shape)
        elif self._chunked:
            array = self._chunk(index, header)
        else:
            # The allocation is bounded: FrameHeader refuses shapes of more than MAX_FRAME_BYTES.
            array = np.empty(header.shape, header.dtype)
            if array.size:
                self._values.read_direct(array, np.s_[index])
        array.flags.writeable = False
        return Frame(header, array)

    def _chunk(self, index: int, header: FrameHeader) -> npt.NDArray[Any]:
        """Read a chunk around HDF5's own filters, which believe the size that a chunk claims to unfold to."""
        where = (index, *(0 for _ in header.shape))
        info = self._values.id.get_chunk_info_by_coord(where)
        if info.byte_offset is None or not 0 < info.size <= max_stored_bytes(header.nbytes):
            raise refuse(f"Frame {index} of {self._values.name} takes {info.size} bytes.")
        mask, content = self._values.id.read_direct_chunk(where)
        return restore_array(content, mask if self._filtered else 1, header)


class _Stream:
    """A stream of an open shard, in ascending order whatever the order of its groups and rows."""

    def __init__(self, name: str, parts: list[_Part]) -> None:
        rows = [(header, part, row) for part in parts for row, header in enumerate(part.headers)]
        self._rows = sorted(rows, key=lambda row: row[0].sequence)
        self.headers = tuple(header for header, _, _ in self._rows)
        if len({header.sequence for header in self.headers}) != len(self.headers):
            raise refuse(f"A sequence number of {name} is there twice.")

    def frame(self, index: int) -> Frame:
        _, part, row = self._rows[index]
        return part.frame(row)


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
        self.format_version = int(attributes["format_version"])
        if self.format_version not in READABLE_VERSIONS:
            raise refuse(
                f"{self.path.name} is of format {self.format_version}; this version reads "
                f"{SHARD_FORMAT_VERSION} and older."
            )
        self.instrument = str(attributes["instrument"])
        self.session = str(attributes["session"])
        self.simulated = bool(attributes["simulated"])
        self.software = str(attributes["software"])
        entry = _member(self._file, "entry", h5py.Group)
        if not 1 <= len(entry) <= MAX_STREAMS + len(FACTS):
            raise refuse(f"{self.path.name} announces {len(entry)} streams.")
        vendor = _read_vendor(entry) if self.format_version > 1 else []
        parts: dict[str, list[_Part]] = {}
        for name in sorted(set(entry) - (FACTS if self.format_version > 1 else frozenset())):
            group = _member(entry, name, h5py.Group)
            stream = str(group.attrs["stream"]) if self.format_version > 1 else name
            parts.setdefault(stream, []).append(_Part(group, stream, self, vendor))
        if not parts:
            raise refuse(f"{self.path.name} holds no stream.")
        self._streams = {name: _Stream(name, found) for name, found in sorted(parts.items())}

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

    def frames(
        self, stream: str, *, from_sequence: int = 0, only: Container[int] | None = None
    ) -> Iterator[Frame]:
        """Frames of a stream from a sequence number on; none if the stream is not in this shard.

        Of the others not a byte is read: each frame lies in a chunk of its own.

        Args:
            stream: its name.
            from_sequence: the first sequence number.
            only: the sequence numbers that are wanted; None for all.

        Raises:
            DataFormatError: an array cannot be read.
        """
        for index, header in enumerate(self.headers(stream)):
            if header.sequence >= from_sequence and (only is None or header.sequence in only):
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
