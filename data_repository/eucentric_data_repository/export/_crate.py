"""A data set as a package to cite: shards, manifest, RO-Crate and DataCite metadata, checksums."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from eucentric_core import DataFormatError, DatasetManifest, require_free_space
from eucentric_transfer import ShardReader

from .._catalogue import Catalogue
from .._entries import ShardEntry
from ._citation import Citation
from ._crate_metadata import CrateFile, crate_metadata
from ._crate_readme import readme
from ._datacite import datacite
from ._source import Source, changed, open_source
from ._whole import Progress, target_folder, whole_folder

__all__ = ["export_crate"]

_CHECKSUMS = "manifest-sha256.txt"
_BLOCK_BYTES = 1 << 20


def export_crate(
    catalogue: Catalogue,
    dataset_id: str,
    destination: Path,
    *,
    citation: Citation,
    link: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a complete data set as an RO-Crate 1.1 that an archive takes and `sha256sum -c` checks.

    The same data and the same citation give the same bytes.

    Args:
        catalogue: of the repository.
        dataset_id: which data set.
        destination: folder to make `<data set>.crate` in; made if missing.
        citation: what it is cited as.
        link: hard-link the shards instead of copying them, on the same file system; whoever then changes a
            file of the package changes the repository's.
        progress: told how many bytes of shards are there, of how many.

    Returns:
        The folder, whole.

    Raises:
        ConfigurationError: no such data set, or the destination is taken.
        DataFormatError: the data set is not complete, or a shard cannot be read.
        IntegrityError: a shard is not what was registered; nothing is exported.
        OutOfSpaceError: the disk is full.
    """
    source = open_source(catalogue, dataset_id)
    manifest = catalogue.manifest(dataset_id)
    if manifest is None or source.dataset.state != "complete":
        raise DataFormatError(
            f"Data set {dataset_id} is not complete yet.",
            safe="nothing was written.",
            next_step="wait until its recording is closed and all its shards have arrived.",
        )
    target = target_folder(destination, f"{dataset_id}.crate")
    if not link:
        require_free_space(target.parent, source.dataset.size_bytes)
    with whole_folder(target) as building:
        (building / "shards").mkdir()
        files = _take_shards(source, building, link=link, progress=progress)
        files += _write_documents(source, manifest, building, citation)
        _write_checksums(building, files)
    return target


def _take_shards(source: Source, building: Path, *, link: bool, progress: Progress | None) -> list[CrateFile]:
    files: list[CrateFile] = []
    done, total = 0, sum(entry.shard.size_bytes for entry in source.shards)
    for entry in source.shards:
        name = f"shards/{entry.shard.file_name}"
        _take(entry, building / name, link=link)
        with ShardReader(building / name) as reader:
            about = f"{entry.shard.frames} acquisitions of {', '.join(reader.streams)}"
        files.append(CrateFile(name, entry.shard.sha256, entry.shard.size_bytes, "application/x-hdf5", about))
        done += entry.shard.size_bytes
        if progress is not None:
            progress(done, total)
    return files


def _take(entry: ShardEntry, target: Path, *, link: bool) -> None:
    """Copy or link a shard; what is at the target is what was hashed."""
    try:
        if link:
            os.link(entry.path, target)
            found = _hash_of(target)
        else:
            found = _copy(entry.path, target)
    except FileNotFoundError as error:
        raise changed(entry) from error
    if found != entry.shard.sha256:
        raise changed(entry)
    if not link:
        shutil.copystat(entry.path, target)


def _copy(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("xb") as writing:
        while block := reading.read(_BLOCK_BYTES):
            digest.update(block)
            writing.write(block)
    return digest.hexdigest()


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_documents(
    source: Source, manifest: DatasetManifest, building: Path, citation: Citation
) -> list[CrateFile]:
    collected = _collected(source)
    record = datacite(citation, source, collected=collected)
    texts = {
        "dataset.json": (
            manifest.model_dump_json(indent=2),
            "application/json",
            "The manifest: every shard.",
        ),
        "datacite.json": (
            _json(record),
            "application/json",
            "DataCite 4.5 metadata, to register a DOI with.",
        ),
        "README.md": (readme(source, manifest, citation, collected), "text/markdown", "What this is."),
    }
    files = []
    for name, (text, media_type, about) in texts.items():
        files.append(_write(building, name, text, media_type, about))
    shards = [
        CrateFile(f"shards/{e.shard.file_name}", e.shard.sha256, e.shard.size_bytes, "application/x-hdf5", "")
        for e in source.shards
    ]
    described = crate_metadata(source, citation, [*shards, *files], collected=collected)
    files.append(_write(building, "ro-crate-metadata.json", _json(described), "application/ld+json", ""))
    return files


def _write(building: Path, name: str, text: str, media_type: str, about: str) -> CrateFile:
    content = (text.rstrip("\n") + "\n").encode()
    (building / name).write_bytes(content)
    return CrateFile(name, hashlib.sha256(content).hexdigest(), len(content), media_type, about)


def _write_checksums(building: Path, files: list[CrateFile]) -> None:
    lines = [f"{file.sha256}  {file.name}\n" for file in sorted(files, key=lambda file: file.name)]
    (building / _CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _collected(source: Source) -> tuple[str, str]:
    """First and last time of acquisition."""
    times = []
    for entry in source.shards:
        with ShardReader(entry.path) as reader:
            times += [header.acquired_utc for name in reader.streams for header in reader.headers(name)]
    return min(times).isoformat(), max(times).isoformat()


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
