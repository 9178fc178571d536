"""What is exported: a data set's shards, each with its hash confirmed, and what lies in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from eucentric_core import ConfigurationError, Frame, FrameHeader, IntegrityError, sha256_file
from eucentric_transfer import ShardReader

from .._catalogue import Catalogue, require_kept
from .._entries import DatasetEntry, ShardEntry

__all__ = ["FrameSeries", "Source", "changed", "open_source", "series_of"]


@dataclass(frozen=True, slots=True)
class Source:
    """A data set and its shards, in the order of their acquisitions."""

    dataset: DatasetEntry
    shards: tuple[ShardEntry, ...]


@dataclass(slots=True)
class FrameSeries:
    """Frames of one stream that have one shape, dtype and calibration: `(sequence, shard)` of each."""

    header: FrameHeader
    headers: list[FrameHeader] = field(default_factory=list)
    places: list[tuple[ShardEntry, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.headers)

    def frames(self) -> Iterator[Frame]:
        """The frames, one shard open at a time.

        Raises:
            DataFormatError: a shard cannot be read.
        """
        wanted: dict[str, set[int]] = {}
        entries: dict[str, ShardEntry] = {}
        for entry, sequence in self.places:
            wanted.setdefault(entry.shard.file_name, set()).add(sequence)
            entries[entry.shard.file_name] = entry
        for name, entry in entries.items():
            with ShardReader(entry.path) as reader:
                yield from reader.frames(self.header.stream, only=wanted[name])


def open_source(catalogue: Catalogue, dataset_id: str) -> Source:
    """A data set with all its shards.

    Raises:
        ConfigurationError: there is no such data set, or it holds nothing.
        DataFormatError: a shard of it was pruned.
    """
    dataset = catalogue.dataset(dataset_id).entry
    shards = tuple(catalogue.shards(dataset_id=dataset_id))
    if not shards:
        raise ConfigurationError(
            f"Data set {dataset_id} holds no frames.",
            safe="nothing was written.",
            next_step="choose another data set: `eucentric data ls`.",
        )
    for entry in shards:
        require_kept(entry)
    return Source(dataset, shards)


def changed(entry: ShardEntry) -> IntegrityError:
    """The error for a shard that is not what was registered."""
    return IntegrityError(
        f"{entry.shard.file_name} is not what was registered.",
        safe="nothing was exported.",
        next_step="restore it: `eucentric data verify` lists what is damaged.",
        expected_sha256=entry.shard.sha256,
    )


def series_of(shards: Sequence[ShardEntry]) -> dict[str, list[FrameSeries]]:
    """Every stream of some shards as series of like frames, in the order of their first frames.

    Raises:
        IntegrityError: a shard is not what was registered.
        DataFormatError: a shard cannot be read.
    """
    found: dict[str, dict[object, FrameSeries]] = {}
    for entry in shards:
        if not entry.path.is_file() or sha256_file(entry.path) != entry.shard.sha256:
            raise changed(entry)
        with ShardReader(entry.path) as reader:
            for stream in reader.streams:
                for header in reader.headers(stream):
                    key = (header.shape, header.dtype, header.axes)
                    series = found.setdefault(stream, {}).setdefault(key, FrameSeries(header))
                    series.headers.append(header)
                    series.places.append((entry, header.sequence))
    return {stream: list(series.values()) for stream, series in sorted(found.items())}
