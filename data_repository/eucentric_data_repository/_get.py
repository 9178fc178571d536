"""Copying a data set, or part of it, to a folder: hashes checked, resumable, no other file overwritten."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from eucentric_core import (
    ConfigurationError,
    DataFormatError,
    Frame,
    FrozenModel,
    IntegrityError,
    OutOfSpaceError,
    fsync_directory,
    require_free_space,
    sha256_file,
)
from eucentric_transfer import ShardReader, write_shard

from ._catalogue import Catalogue, require_kept
from ._entries import ShardEntry

__all__ = ["Selection", "fetch_dataset"]

_CHUNK_BYTES = 1 << 20

OnBytes = Callable[[int], None]


class Selection(FrozenModel):
    """Which part of a data set is wanted; by default all of it.

    Args:
        streams: names of streams; empty for all. Named ones are written to shards of their own.
        from_sequence: first sequence number wanted; whole shards are copied.
        to_sequence: last sequence number wanted.
    """

    streams: tuple[str, ...] = ()
    from_sequence: int | None = None
    to_sequence: int | None = None


def fetch_dataset(
    catalogue: Catalogue,
    dataset_id: str,
    folder: Path,
    selection: Selection | None = None,
    *,
    on_start: Callable[[int], None] = lambda _bytes: None,
    on_bytes: OnBytes = lambda _bytes: None,
) -> list[Path]:
    """Copy shards to `<folder>/<data set>/`. Called again, it goes on where it was interrupted.

    Args:
        catalogue: where they are registered.
        dataset_id: which data set.
        folder: made if missing.
        selection: part of the data set.
        on_start: told how many bytes will be copied.
        on_bytes: told how many bytes more are done.

    Returns:
        The files, in order of their sequence numbers.

    Raises:
        ConfigurationError: no such data set, stream or sequence numbers, or another file has the name.
        DataFormatError: a shard was pruned or is missing.
        IntegrityError: a shard is not what was registered; it is not copied.
        OutOfSpaceError: the folder has no room; what was copied is whole.
        OSError: the folder cannot be written.
    """
    wanted = selection or Selection()
    details = catalogue.dataset(dataset_id)
    entries = catalogue.shards(
        dataset_id=dataset_id, from_sequence=wanted.from_sequence, to_sequence=wanted.to_sequence
    )
    known = {stream for entry in entries for stream in entry.shard.streams}
    if unknown := sorted(set(wanted.streams) - known):
        raise _refuse(
            f"Data set {dataset_id} has no stream {unknown[0]!r}.", f"it has {', '.join(sorted(known))}."
        )
    if not entries and details.entry.shards:
        raise _refuse(f"Data set {dataset_id} has no such sequence numbers.", "see `eucentric data show`.")
    if wanted.streams:
        entries = [entry for entry in entries if set(entry.shard.streams) & set(wanted.streams)]
    for entry in entries:
        require_kept(entry)
    target = folder / dataset_id
    due = sum(entry.shard.size_bytes for entry in entries if not (target / entry.shard.file_name).exists())
    require_free_space(target, due)
    on_start(sum(entry.shard.size_bytes for entry in entries))
    with _room_in(target):
        target.mkdir(parents=True, exist_ok=True)
        return [_fetch(entry, target, wanted.streams, on_bytes) for entry in entries]


@contextmanager
def _room_in(target: Path) -> Iterator[None]:
    """What was free may be taken by somebody else meanwhile, and a quota shows nowhere."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OutOfSpaceError(
            f"No room for all of {target.name} in {target.parent}.",
            safe="what was copied is whole; the repository is unchanged.",
            next_step="free space and do it again: it goes on where it stopped.",
        ) from error


def _fetch(entry: ShardEntry, target: Path, streams: Sequence[str], on_bytes: OnBytes) -> Path:
    if streams and set(streams) != set(entry.shard.streams):
        return _extract(entry, target, streams, on_bytes)
    final = target / entry.shard.file_name
    if final.exists() or final.is_symlink():
        if final.is_symlink() or sha256_file(final) != entry.shard.sha256:
            raise _refuse(f"Another file lies at {final}.", "give another folder, or move that file.")
        on_bytes(entry.shard.size_bytes)
        return final
    temporary = _temporary(final)
    try:
        with _opened(entry) as source, temporary.open("xb") as copy:
            found = _copy(source, copy, on_bytes)
        if found != entry.shard.sha256:
            raise _changed(entry)
        _appear(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)
    return final


def _opened(entry: ShardEntry) -> BinaryIO:
    try:
        return entry.path.open("rb")
    except FileNotFoundError as error:
        raise DataFormatError(
            f"{entry.shard.file_name} is missing from the repository.",
            safe="what was copied so far is whole.",
            next_step="deliver it again from an archive or its source; `eucentric data verify` lists all.",
        ) from error


def _copy(source: BinaryIO, copy: BinaryIO, on_bytes: OnBytes) -> str:
    digest = hashlib.sha256()
    while block := source.read(_CHUNK_BYTES):
        digest.update(block)
        copy.write(block)
        on_bytes(len(block))
    copy.flush()
    os.fsync(copy.fileno())
    return digest.hexdigest()


def _appear(temporary: Path, final: Path) -> None:
    try:
        # Unlike a rename, a link never takes the place of a file that has come meanwhile.
        os.link(temporary, final)
    except FileExistsError as error:
        raise _refuse(f"Another file lies at {final}.", "give another folder.") from error
    except OSError:
        # A file system without hard links.
        if final.exists():
            raise
        shutil.move(temporary, final)
    fsync_directory(final.parent)


def _extract(entry: ShardEntry, target: Path, streams: Sequence[str], on_bytes: OnBytes) -> Path:
    """Write the wanted streams of a shard to one of their own, named by what it holds."""
    chosen = sorted(set(streams) & set(entry.shard.streams))
    final = target / f"{entry.shard.file_name.removesuffix('.h5')}.{'-'.join(chosen)}.h5"
    if not final.exists():
        if sha256_file(entry.path) != entry.shard.sha256:
            raise _changed(entry)
        temporary = _temporary(final)
        try:
            with ShardReader(entry.path) as reader:
                frames: list[Frame] = [frame for name in chosen for frame in reader.frames(name)]
            write_shard(temporary, frames, software=f"eucentric {version('eucentric')}")
            _appear(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)
    _require_extract(entry, final, chosen)
    on_bytes(entry.shard.size_bytes)
    return final


def _require_extract(entry: ShardEntry, final: Path, chosen: Sequence[str]) -> None:
    with ShardReader(final) as found, ShardReader(entry.path) as source:
        same = (found.instrument, found.session, found.streams) == (
            source.instrument,
            source.session,
            tuple(chosen),
        ) and all(found.headers(name) == source.headers(name) for name in chosen)
    if not same:
        raise _refuse(f"Another file lies at {final}.", "give another folder, or move that file.")


def _temporary(final: Path) -> Path:
    return final.with_name(f".{final.name}.{secrets.token_hex(4)}.part")


def _changed(entry: ShardEntry) -> IntegrityError:
    return IntegrityError(
        f"{entry.shard.file_name} in the repository is not what was registered.",
        safe="it was not copied; what was copied before is whole.",
        next_step="`eucentric data verify` says what to do.",
    )


def _refuse(what: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(what, safe="no file was overwritten.", next_step=next_step)
