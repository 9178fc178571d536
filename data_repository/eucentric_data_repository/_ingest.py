"""One look into the incoming folder: verify, move, register, receipt. Interrupted, it is repeated."""

from __future__ import annotations

import logging
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from eucentric_core import (
    AnyEvent,
    DataFormatError,
    DatasetManifest,
    EucentricError,
    IntegrityError,
    Receipt,
    SentDocument,
    Shard,
    fsync_directory,
    reached,
    sha256_file,
    utc_now,
    write_atomic,
)
from eucentric_transfer import ShardReader

from ._facts import ShardFacts, facts_of
from ._folders import RepositoryFolders
from ._registrar import Registrar
from ._spares import drop_spare

__all__ = ["ingest_once"]

_MAX_SHARD_DOCUMENT_BYTES = 1 << 20
_MAX_MANIFEST_BYTES = 64 << 20
_DATASET_SUFFIX = ".dataset.json"

_log = logging.getLogger(__name__)


def _refuse(what: str) -> DataFormatError:
    return DataFormatError(
        what,
        safe="it is in the quarantine, nothing was registered.",
        next_step="send it again from its source.",
    )


def _mismatch(what: str) -> IntegrityError:
    return IntegrityError(
        what,
        safe="it is in the quarantine, nothing was registered.",
        next_step="send it again from its source.",
    )


def _document(path: Path, max_bytes: int) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise _refuse(f"{path.name} is not a plain file.")
    if path.stat().st_size > max_bytes:
        raise _refuse(f"{path.name} is longer than {max_bytes} bytes.")
    return SentDocument.opened(path.read_bytes())


def _read_shard_document(path: Path) -> Shard:
    try:
        shard = Shard.model_validate_json(_document(path, _MAX_SHARD_DOCUMENT_BYTES))
    except ValidationError as error:
        raise _refuse(f"{path.name} does not describe a shard: {error}.") from error
    if path.name != f"{shard.file_name}.json":
        raise _refuse(f"{path.name} describes {shard.file_name}.")
    return shard


def _verify(path: Path, shard: Shard) -> tuple[str, ShardFacts]:
    """Check a shard's file against its document; returns the software that wrote it, and its facts."""
    if path.is_symlink() or not path.is_file():
        raise _refuse(f"{path.name} is not a plain file.")
    if path.stat().st_size != shard.size_bytes or sha256_file(path) != shard.sha256:
        raise _mismatch(f"{path.name} is not the file that was sealed.")
    with ShardReader(path) as reader:
        held = reader.sequences
        found = (
            reader.instrument,
            reader.session,
            reader.simulated,
            reader.streams,
            len(held),
            held[0],
            held[-1],
        )
        told = (
            shard.instrument,
            shard.session,
            shard.simulated,
            shard.streams,
            shard.frames,
            shard.first_sequence,
            shard.last_sequence,
        )
        if found != told:
            raise _mismatch(f"{path.name} holds {found}, its document says {told}.")
        return reader.software, facts_of(reader)


def _require_no_clash(final: Path, shard: Shard, registrar: Registrar) -> None:
    """A file name holds a part of the hash only: never put a file over another shard's."""
    if final.exists() and not registrar.is_registered(shard) and sha256_file(final) != shard.sha256:
        raise _mismatch(f"{final.name} is there already, with another content.")


def _take_shard(folders: RepositoryFolders, registrar: Registrar, document: Path) -> list[AnyEvent]:
    shard = _read_shard_document(document)
    dataset_id = shard.dataset_id
    arrived = folders.incoming / shard.file_name
    final = folders.shard(dataset_id, shard.file_name)
    # A crash after the move and before the registration leaves the file at its final place.
    recorded_with, facts = _verify(arrived if arrived.exists() or arrived.is_symlink() else final, shard)
    reached("register.verified")
    if arrived.exists():
        _require_no_clash(final, shard, registrar)
        final.parent.mkdir(exist_ok=True)
        fsync_directory(folders.shards)
        arrived.replace(final)
        fsync_directory(final.parent)
    reached("register.moved")
    events: list[AnyEvent] = []
    try:
        events = registrar.register_shard(shard, recorded_with=recorded_with, facts=facts)
    except IntegrityError as error:
        folders.set_aside(final, error.report())
        raise
    reached("register.entered")
    _write_receipt(folders, document, shard, shard.sha256, shard.size_bytes)
    reached("register.receipted")
    registrar.note_receipt(shard)
    reached("register.noted")
    document.unlink()
    # It may have been another document than was read: then what it came with is a second copy.
    drop_spare(arrived, final, shard.sha256)
    reached("register.done")
    return events


def _write_receipt(
    folders: RepositoryFolders, document: Path, of: Shard | DatasetManifest, sha256: str, size_bytes: int
) -> None:
    receipt = Receipt(
        idempotency_key=of.idempotency_key,
        sha256=sha256,
        size_bytes=size_bytes,
        received_utc=utc_now(),
        dataset_id=of.dataset_id,
    )
    write_atomic(folders.receipts / document.name, receipt.model_dump_json().encode())


def _take_dataset(folders: RepositoryFolders, registrar: Registrar, document: Path) -> list[AnyEvent]:
    content = _document(document, _MAX_MANIFEST_BYTES)
    try:
        manifest = DatasetManifest.model_validate_json(content)
    except ValidationError as error:
        raise _refuse(f"{document.name} is no manifest of a data set: {error}.") from error
    if document.name != f"{manifest.dataset_id}{_DATASET_SUFFIX}":
        raise _refuse(f"{document.name} is the manifest of {manifest.dataset_id}.")
    events = registrar.register_dataset(manifest)
    reached("dataset.entered")
    _write_receipt(folders, document, manifest, sha256(content).hexdigest(), len(content))
    reached("dataset.receipted")
    document.unlink()
    return events


def _set_aside(folders: RepositoryFolders, document: Path, error: EucentricError) -> None:
    _log.error("%s refused: %s", document.name, error)
    companion = folders.incoming / document.name.removesuffix(".json")
    for path in (companion, document):
        if path.is_symlink() or path.exists():
            folders.set_aside(path, error.report())


def ingest_once(root: Path, registrar: Registrar) -> list[AnyEvent]:
    """Take in every shard and manifest that has arrived whole. One bad file never holds up the others.

    Where a shard's document lies, the shard is whole, because the document is sent after it. Files
    without a document, and hidden ones, are still on their way and are left alone.

    Returns:
        The events this caused, in order; they are in the catalogue's outbox, too.

    Raises:
        OutOfSpaceError, ServiceUnavailableError: the repository's own disk or database failed; what has
            arrived stays where it is.
        OSError: the root cannot be read or written.
    """
    folders = RepositoryFolders(root)
    events: list[AnyEvent] = []
    names = sorted(path.name for path in folders.incoming.iterdir() if not path.name.startswith("."))
    # Manifests last: the shards they list usually come in the same look.
    for name in sorted(names, key=lambda name: name.endswith(_DATASET_SUFFIX)):
        if not name.endswith(".json"):
            continue
        document = folders.incoming / name
        take = _take_dataset if name.endswith(_DATASET_SUFFIX) else _take_shard
        try:
            events += take(folders, registrar, document)
        except (DataFormatError, IntegrityError) as error:
            _set_aside(folders, document, error)
    return events
