"""Data sets, in a notebook. Read by name: the catalogue's own classes live in another room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from eucentric_core import DatasetManifest, Shard

from ._card import SIMULATED, bullets, card, table
from ._words import bytes_words, time_words

__all__ = ["details_card", "entry_card", "manifest_card", "search_card", "shard_card"]


class _Entry(Protocol):
    @property
    def dataset_id(self) -> str: ...
    @property
    def sample(self) -> str | None: ...
    @property
    def material(self) -> str | None: ...
    @property
    def simulated(self) -> bool: ...
    @property
    def state(self) -> str: ...
    @property
    def frames(self) -> int: ...
    @property
    def shards(self) -> int: ...
    @property
    def missing(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def tags(self) -> tuple[str, ...]: ...


class _Note(Protocol):
    @property
    def text(self) -> str: ...
    @property
    def by(self) -> str: ...


class _Details(Protocol):
    @property
    def entry(self) -> _Entry: ...
    @property
    def notes(self) -> Sequence[_Note]: ...


class _Found(Protocol):
    @property
    def total(self) -> int: ...
    @property
    def datasets(self) -> Sequence[_Entry]: ...


def entry_card(entry: _Entry) -> str:
    """A data set of the catalogue as HTML."""
    rows = [
        ("sample", entry.sample or "not said"),
        ("material", entry.material or "not said"),
        ("state", entry.state),
        ("acquisitions", f"{entry.frames}, {entry.missing} missing"),
        ("files", f"{entry.shards}, {bytes_words(entry.size_bytes)}"),
        ("tags", ", ".join(entry.tags) or "none"),
    ]
    return card(entry.dataset_id, rows, subtitle="data set", badges=[SIMULATED] if entry.simulated else ())


def details_card(details: _Details) -> str:
    """Everything the catalogue knows about a data set as HTML."""
    notes = [f"{note.by}: {note.text}" for note in details.notes]
    return entry_card(details.entry) + (bullets(notes) if notes else "")


def search_card(found: _Found) -> str:
    """What a search found as HTML."""
    rows = [
        (
            each.dataset_id,
            SIMULATED if each.simulated else "",
            each.state,
            each.frames,
            each.missing,
            each.material or "",
        )
        for each in found.datasets
    ]
    head = ("data set", "", "state", "acquisitions", "missing", "material")
    return card(f"{found.total} data sets", below=table(rows, head=head) if rows else "")


def manifest_card(manifest: DatasetManifest) -> str:
    """The list of a data set's files as HTML."""
    missing = manifest.missing_sequences
    rows = [
        ("acquisitions", str(manifest.frames)),
        ("missing", f"{len(missing)}: {', '.join(map(str, missing[:20]))}" if missing else "none"),
        ("closed", time_words(manifest.closed_utc)),
    ]
    head = ("file", "acquisitions", "size", "sha256")
    files = [
        (f"{s.index}", f"{s.first_sequence} to {s.last_sequence}", bytes_words(s.size_bytes), s.sha256[:12])
        for s in manifest.shards
    ]
    simulated = any(shard.simulated for shard in manifest.shards)
    badges = [SIMULATED] if simulated else ()
    return card(manifest.dataset_id, rows, subtitle="data set", badges=badges, below=table(files, head=head))


def shard_card(shard: Shard) -> str:
    """One file of a data set as HTML."""
    rows = [
        ("acquisitions", f"{shard.frames}, numbers {shard.first_sequence} to {shard.last_sequence}"),
        ("streams", ", ".join(shard.streams)),
        ("size", bytes_words(shard.size_bytes)),
        ("sha256", shard.sha256),
        ("sealed", time_words(shard.sealed_utc)),
    ]
    return card(shard.file_name, rows, subtitle="shard", badges=[SIMULATED] if shard.simulated else ())
