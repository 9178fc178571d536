"""An open shard: frames go in one by one, each written once, where it stays."""

from __future__ import annotations

import errno
import json
import os
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt

from eucentric_core import DataFormatError, FrameHeader, OutOfSpaceError

from ._direct import BLOCK_BYTES, DIRECT_FROM_BYTES
from ._shard_codec import Compression, StoredChunk
from ._shard_facts import write_facts
from ._shard_file import ShardFile
from ._shard_layout import (
    MAX_STREAMS,
    SHARD_FORMAT,
    SHARD_FORMAT_VERSION,
    common_axes,
    group_name,
    is_table,
)

__all__ = ["ChunkPlace", "ShardBuilder", "flush_to_disk", "out_of_space"]

_FIRST_ROWS = 16

_PartKey = tuple[str, tuple[int, ...], str]


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """Where the bytes of a chunk lie in the file."""

    offset: int
    size_bytes: int
    filter_mask: int


@dataclass
class _Part:
    """A group of the shard: frames of one stream, shape and dtype."""

    group: h5py.Group
    headers: list[FrameHeader] = field(default_factory=list)
    data: h5py.Dataset | None = None
    rows: int = 0
    uncompressed: int = 0
    tables: list[npt.NDArray[Any]] = field(default_factory=list)


def flush_to_disk(path: Path) -> None:
    """Wait until what was written to a file is on the disk.

    Raises:
        OSError: it is not; what was written since the last flush may be lost.
    """
    # Windows flushes only what was opened for writing.
    descriptor = os.open(path, os.O_RDWR)
    try:
        getattr(os, "fdatasync", os.fsync)(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def out_of_space(doing: str, folder: Path) -> Iterator[None]:
    """Turn what HDF5 says about a full or broken disk into `OutOfSpaceError` and `OSError`."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = getattr(error, "errno", None)
        # HDF5 reports a full disk as an error that has the number in its text only.
        full = any(f"errno = {no}" in str(error) for no in (errno.ENOSPC, errno.EDQUOT))
        if full or number in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfSpaceError(
                f"No room while {doing}.",
                safe="nothing unsaved was acknowledged.",
                next_step=f"free space in {folder}; it is tried again.",
            ) from error
        if isinstance(error, RuntimeError):
            raise OSError(errno.EIO, f"HDF5: {error}") from error
        raise


def _let_go(disk: ShardFile, file: h5py.File) -> None:
    """Close a file without finishing it, if it is not closed."""
    disk.abandon()
    with suppress(OSError, RuntimeError, ValueError):
        file.close()
    disk.release()


class ShardBuilder:
    """Writes a shard. Until `close` has returned the file is no HDF5 file, but every chunk is where
    `append_chunk` said it is, once `write_chunks` has returned. Not for several threads at a time, but
    another one may call `write_chunks`.

    Args:
        path: overwritten if it exists.
        software: name and version of the writer, for provenance.
        compression: `none` makes data sets without a filter, which any HDF5 reader opens without a plug-in.

    Raises:
        OutOfSpaceError, OSError: the disk failed.
    """

    def __init__(self, path: Path, *, software: str, compression: Compression = "blosc2-lz4") -> None:
        self.path = path
        self._software = software
        self._compression = compression
        self._parts: dict[_PartKey, _Part] = {}
        self._numbers: set[tuple[str, int]] = set()
        self._origin: tuple[str, str] | None = None
        self._folder = path.parent
        with out_of_space("opening a shard", path.parent):
            self._disk = ShardFile(path)
            try:
                self._file = h5py.File(
                    self._disk,
                    "w",
                    driver="fileobj",
                    alignment_threshold=DIRECT_FROM_BYTES,
                    alignment_interval=BLOCK_BYTES,
                )
                self._entry = self._file.create_group("entry")
            except BaseException:
                self._disk.release()
                raise
        # HDF5 closes what is open when a process ends, and would call a file whose interpreter is gone.
        self._letting_go = weakref.finalize(self, _let_go, self._disk, self._file)

    def has_room_for(self, header: FrameHeader) -> bool:
        """Whether a frame of this stream and shape fits in; a shard has a bounded number of groups."""
        return self._has_room_for(self.group_of(header))

    def _has_room_for(self, key: _PartKey) -> bool:
        return key in self._parts or len(self._parts) < MAX_STREAMS

    def append_chunk(self, header: FrameHeader, chunk: StoredChunk) -> ChunkPlace:
        """Add a frame that is no table and not empty, as `store_array` made it. `write_chunks` writes it;
        until that has returned, its content must stay as it is.

        Raises:
            DataFormatError: its number is there already, it is of another session, or there is no room.
            OutOfSpaceError, OSError: it is not in the shard; it may be added again.
        """
        key = self.group_of(header)
        self._admit(header, key)
        with out_of_space("writing a frame", self._folder):
            part = self._part(key)
            if part.data is None:
                part.data = self._make_stack(part.group, header)
            row = len(part.headers)
            if part.rows <= row:
                # By more than one at a time, because it costs as much as writing a small frame.
                rows = max(2 * part.rows, _FIRST_ROWS)
                part.data.resize(rows, axis=0)
                part.rows = rows
            where = (row, *(0 for _ in header.shape))
            mask = chunk.filter_mask if self._compression != "none" else 0
            self._disk.expect(chunk.content, chunk.blocks)
            try:
                part.data.id.write_direct_chunk(where, chunk.content, mask)
                offset = self._disk.chunk_offset
            finally:
                self._disk.expect(None)
            if offset is None:
                offset = part.data.id.get_chunk_info_by_coord(where).byte_offset
        part.uncompressed += not chunk.compressed
        self._note(part, header)
        return ChunkPlace(offset, chunk.size_bytes, chunk.filter_mask)

    @property
    def placed(self) -> int:
        """How much was added so far, for `write_chunks`. For the thread that adds."""
        return self._disk.known

    def stage_chunks(self) -> None:
        """Prepare chunks that were added for the disk, before `write_chunks`. For the thread that adds."""
        self._disk.stage_chunks()

    def write_chunks(self, placed: int | None = None) -> None:
        """Write chunks that were added. Any thread, also beside what else is called.

        Args:
            placed: only what had been added when `placed` was so much. None: everything.

        Raises:
            OutOfSpaceError, OSError: some are not written; the file is only good for what was written before.
        """
        with out_of_space("writing frames", self.path.parent):
            self._disk.write_chunks(placed)

    def append_rows(self, header: FrameHeader, array: npt.NDArray[Any]) -> None:
        """Add a table, or an array of no elements; it is written by `close`.

        Raises:
            DataFormatError: its number is there already, it is of another session, or there is no room.
            OutOfSpaceError, OSError: it is not in the shard.
        """
        key = self.group_of(header)
        self._admit(header, key)
        with out_of_space("writing a table", self._folder):
            part = self._part(key)
        part.tables.append(np.array(array, dtype=header.dtype, order="C"))
        self._note(part, header)

    def close(self) -> None:
        """Write axes, headers and facts, close the file and make it durable.

        Raises:
            DataFormatError: the shard is empty.
            OutOfSpaceError, OSError: the file is incomplete and must be written anew.
        """
        if not self._parts:
            self.abandon()
            raise DataFormatError(
                "A shard holds at least one frame.",
                safe="no file was written.",
                next_step="report this: the recorder closed a shard too early.",
            )
        try:
            with out_of_space("closing a shard", self.path.parent):
                self._disk.write_chunks()
                self._finish()
                self._file.close()
                self._disk.sync()
                self._letting_go()
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Let go of the file without finishing it; what is in it is found by the chunks' places alone."""
        self._letting_go()

    @staticmethod
    def group_of(header: FrameHeader) -> tuple[str, tuple[int, ...], str]:
        """What the frames of one group share: stream, shape (of a table: of its rows), dtype."""
        return header.stream, header.shape[1:] if is_table(header) else header.shape, header.dtype

    def _admit(self, header: FrameHeader, key: _PartKey) -> None:
        of_another = self._origin not in (None, (header.instrument, header.session))
        if of_another or (header.stream, header.sequence) in self._numbers or not self._has_room_for(key):
            raise DataFormatError(
                "A shard holds frames of one session, each sequence number once per stream, in "
                f"{MAX_STREAMS} groups at most.",
                safe="the frame is not in the shard.",
                next_step="report this: the recorder grouped its frames wrongly.",
            )

    def _part(self, key: _PartKey) -> _Part:
        part = self._parts.get(key)
        if part is None:
            number = sum(stream == key[0] for stream, _, _ in self._parts)
            part = self._parts[key] = _Part(self._entry.require_group(group_name(key[0], number)))
        return part

    def _note(self, part: _Part, header: FrameHeader) -> None:
        part.headers.append(header)
        self._origin = header.instrument, header.session
        self._numbers.add((header.stream, header.sequence))

    def _make_stack(self, group: h5py.Group, header: FrameHeader) -> h5py.Dataset:
        filters: Mapping[str, Any] = {}
        if self._compression != "none":
            filters = hdf5plugin.Blosc2(cname="lz4", clevel=5, filters=hdf5plugin.Blosc2.BITSHUFFLE)
        if "data" in group:
            del group["data"]
        return group.create_dataset(
            "data",
            (0, *header.shape),
            maxshape=(None, *header.shape),
            chunks=(1, *header.shape),
            dtype=header.dtype,
            **filters,
        )

    def _finish(self) -> None:
        parts = {key: part for key, part in self._parts.items() if part.headers}
        images = [key for key, part in parts.items() if len(part.headers[0].axes) == 2]
        default = (sorted(images) or sorted(parts))[0]
        everything = [header for part in parts.values() for header in part.headers]
        first = everything[0]
        for name, value in {
            "NX_class": "NXroot",
            "default": "entry",
            "format": SHARD_FORMAT,
            "format_version": SHARD_FORMAT_VERSION,
            "instrument": first.instrument,
            "session": first.session,
            "simulated": any(header.simulated for header in everything),
            "software": self._software,
        }.items():
            self._file.attrs[name] = value
        self._entry.attrs["NX_class"] = "NXentry"
        self._entry.attrs["default"] = parts[default].group.name.rpartition("/")[2]
        write_facts(self._entry, parts[default].headers, everything, software=self._software)
        vendor: dict[str, int] = {}
        for part in parts.values():
            self._finish_part(part, vendor)
        if vendor:
            group = self._entry.create_group("vendor")
            group.attrs["NX_class"] = "NXcollection"
            group.create_dataset("vendor_metadata", data=list(vendor), dtype=h5py.string_dtype())

    def _finish_part(self, part: _Part, vendor: dict[str, int]) -> None:
        group, headers = part.group, part.headers
        group.attrs["NX_class"] = "NXdata"
        group.attrs["stream"] = headers[0].stream
        texts, rows = [], []
        for header in headers:
            said = header.vendor_metadata
            if said is None:
                rows.append(-1)
                texts.append(header.model_dump_json())
            else:
                text = json.dumps(said, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
                rows.append(vendor.setdefault(text, len(vendor)))
                texts.append(header.model_copy(update={"vendor_metadata": None}).model_dump_json())
        group.create_dataset("headers", data=texts, dtype=h5py.string_dtype())
        group.create_dataset("sequence", data=np.array([header.sequence for header in headers], np.int64))
        if any(row >= 0 for row in rows):
            group.create_dataset("vendor_index", data=np.array(rows, np.int32))
        if part.data is not None or not is_table(headers[0]):
            self._finish_stack(part)
        else:
            _write_tables(group, part.tables)

    def _finish_stack(self, part: _Part) -> None:
        group, headers = part.group, part.headers
        shape = headers[0].shape
        if part.data is None:
            # No dimensions or no elements: HDF5 has no chunks for those.
            part.data = group.create_dataset("data", data=np.stack(part.tables))
        elif part.rows != len(headers):
            part.data.resize(len(headers), axis=0)
        names = ["sequence"]
        for dimension, axis in enumerate(common_axes(headers)):
            if axis is None:
                names.append(".")
                continue
            values = group.create_dataset(
                axis.name, data=axis.offset + axis.scale * np.arange(shape[dimension])
            )
            values.attrs["units"] = axis.unit
            values.attrs["long_name"] = f"{axis.name} ({axis.unit})"
            group.attrs[f"{axis.name}_indices"] = dimension + 1
            names.append(axis.name)
        group.attrs["signal"] = "data"
        group.attrs["axes"] = names
        group.attrs["sequence_indices"] = 0
        group.attrs["uncompressed_frames"] = part.uncompressed
        kind = {1: "spectrum", 2: "image"}.get(len(shape))
        if kind is not None:
            group.attrs["interpretation"] = part.data.attrs["interpretation"] = kind


def _write_tables(group: h5py.Group, tables: list[npt.NDArray[Any]]) -> None:
    offsets = np.cumsum([0, *(len(table) for table in tables)], dtype=np.int64)
    group.create_dataset("values", data=np.concatenate(tables))
    group.create_dataset("offsets", data=offsets)
    group.attrs["signal"] = "values"
