"""Seals that were interrupted: finished where the shard lies, if it is byte for byte what it was when closed.

What its journal says of a closed shard vouches for every byte: each chunk by the record of its frame, all
that HDF5 wrote around them by the record of the closing. So HDF5's word is not needed, and nothing is copied.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from eucentric_core import Shard, crc32c, fsync_directory, sha256_file, utc_now

from ._entry import ChunkEntry, SealEntry, encode_seal_entry
from ._folders import Folders
from ._ledger import Ledger, SessionRow
from ._salvage import Salvage
from ._steps import reached

__all__ = ["checksum_around", "complete_seal", "describe_shard", "give_name", "seal_in_place"]

_PIECE_BYTES = 1 << 20
_NO_LINKS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL)
"""What systems say whose files have one name only."""


class _Range(NamedTuple):
    """Bytes of a shard's file; `chunk` vouches for them, None for what lies around the chunks."""

    start: int
    stop: int
    chunk: ChunkEntry | None = None


def describe_shard(
    row: SessionRow,
    index: int,
    held: Mapping[int, set[str]],
    *,
    simulated: bool,
    sha256: str,
    size_bytes: int,
) -> Shard:
    """What a closed shard of a session is, by the acquisitions that it holds, with their streams."""
    return Shard(
        instrument=row.instrument,
        session=row.session,
        index=index,
        first_sequence=min(held),
        last_sequence=max(held),
        frames=len(held),
        streams=tuple(sorted(set().union(*held.values()))),
        sha256=sha256,
        size_bytes=size_bytes,
        sealed_utc=utc_now(),
        simulated=simulated,
        sample=row.sample,
        material=row.material,
    )


def checksum_around(path: Path, chunks: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Length of a closed shard, and the CRC-32C of what is no chunk in it.

    Args:
        path: of the shard.
        chunks: where they lie and how long they are (bytes).

    Raises:
        OSError: the disk cannot read it.
    """
    checksum = 0
    with path.open("rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        ranges = [_Range(start, start + length) for start, length in sorted(chunks)]
        for around in _around(ranges, size_bytes):
            file.seek(around.start)
            for piece in _pieces(around):
                checksum = crc32c(file.read(piece), checksum)
    return size_bytes, checksum


def give_name(shard: Path, named: Path) -> None:
    """Give a sealed shard its name in another folder, durably, before it loses the one that it has.

    A plain rename could be lost halfway in a power cut, where a file system does not keep both folders in one
    journal: another thread may sync the folder that the shard has left at that moment.

    Raises:
        OSError: the disk failed.
    """
    if shard == named:
        return
    try:
        os.link(shard, named)
    except FileExistsError:
        # A crash came in between.
        if not shard.samefile(named):
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shard.replace(named)
        fsync_directory(named.parent)
        return
    fsync_directory(named.parent)
    reached("seal.linked")
    shard.unlink()


def complete_seal(salvage: Salvage, session_id: int, folders: Folders, ledger: Ledger) -> bool:
    """Finish a seal that was announced. False if the file is not what was announced, and nothing was done.

    Raises:
        OutOfSpaceError, JournalError: the disk failed; again later.
    """
    if salvage.seal is None:
        return False
    shard = salvage.seal.shard
    named = folders.shards / shard.file_name
    if shard.file_name in ledger.shard_names():
        salvage.journal.unlink(missing_ok=True)
        salvage.shard.unlink(missing_ok=True)
        return True
    found = salvage.shard
    if named.exists():
        if found != named and found.exists() and found.samefile(named):
            give_name(found, named)
        found = named
    if not found.exists() or sha256_file(found) != shard.sha256:
        salvage.shard = found
        return False
    salvage.shard = found
    _name_and_record(salvage, salvage.seal, session_id, folders, ledger)
    return True


def seal_in_place(salvage: Salvage, index: int, row: SessionRow, folders: Folders, ledger: Ledger) -> bool:
    """Seal a shard that was closed. False if it is not byte for byte what was closed, and nothing was done.

    Args:
        salvage: what its journal says; nothing else uses it.
        index: of the shard.
        row: its session.
        folders: of the journal.
        ledger: where sealed shards are recorded.

    Raises:
        OutOfSpaceError, JournalError, OSError: the disk failed; again later.
    """
    closed = salvage.closed
    if closed is None or not salvage.entries or salvage.origins != {(row.instrument, row.session)}:
        return False
    if index != row.next_index or salvage.damage or not salvage.shard.exists():
        return False
    sha256 = _sha256_if_unchanged(salvage)
    if sha256 is None:
        return False
    held: dict[int, set[str]] = {}
    for entry, _ in salvage.entries:
        held.setdefault(entry.header.sequence, set()).add(entry.header.stream)
    shard = describe_shard(
        row,
        index,
        held,
        simulated=any(entry.header.simulated for entry, _ in salvage.entries),
        sha256=sha256,
        size_bytes=closed.size_bytes,
    )
    reached("recovery.hashed")
    _announce(salvage, shard, closed.missing_sequences)
    reached("recovery.announced")
    _name_and_record(salvage, SealEntry(shard=shard, missing=closed.missing), row.id, folders, ledger)
    return True


def _name_and_record(
    salvage: Salvage, seal: SealEntry, session_id: int, folders: Folders, ledger: Ledger
) -> None:
    named = folders.shards / seal.shard.file_name
    if salvage.shard.exists():
        give_name(salvage.shard, named)
    ledger.record_shard(session_id, seal.shard, seal.missing_sequences)
    salvage.journal.unlink(missing_ok=True)


def _announce(salvage: Salvage, shard: Shard, missing: tuple[int, ...]) -> None:
    """Write down what the shard is, in place of an announcement that a crash has cut off."""
    with salvage.journal.open("r+b", buffering=0) as journal:
        journal.seek(salvage.torn_from or 0, os.SEEK_SET if salvage.torn else os.SEEK_END)
        journal.truncate()
        content = memoryview(encode_seal_entry(shard, missing))
        while content:
            content = content[journal.write(content) :]
        os.fsync(journal.fileno())


def _sha256_if_unchanged(salvage: Salvage) -> str | None:
    """The shard's SHA-256, read once from end to end; None if a byte of it is not what it was."""
    if salvage.closed is None:
        return None
    chunks = [entry.chunk for entry, _ in salvage.entries if entry.chunk is not None]
    chunks.sort(key=lambda chunk: chunk.offset)
    ranges = [_Range(chunk.offset, chunk.offset + chunk.size_bytes, chunk) for chunk in chunks]
    hashed, around = hashlib.sha256(), 0
    try:
        with salvage.shard.open("rb") as file:
            if os.fstat(file.fileno()).st_size != salvage.closed.size_bytes:
                return None
            for part in sorted([*ranges, *_around(ranges, salvage.closed.size_bytes)], key=lambda r: r.start):
                if part.chunk is None:
                    for piece in _pieces(part):
                        hashed.update(content := file.read(piece))
                        around = crc32c(content, around)
                elif part.chunk.vouches_for(content := file.read(part.stop - part.start)):
                    hashed.update(content)
                else:
                    return None
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return None
    return hashed.hexdigest() if around == salvage.closed.crc32c_around else None


def _around(ranges: Iterable[_Range], size_bytes: int) -> Iterator[_Range]:
    """What lies between ascending ranges, before the first and behind the last."""
    position = 0
    for start, stop, _ in ranges:
        if start > position:
            yield _Range(position, start)
        position = max(position, stop)
    if position < size_bytes:
        yield _Range(position, size_bytes)


def _pieces(part: _Range) -> Iterator[int]:
    for start in range(part.start, part.stop, _PIECE_BYTES):
        yield min(_PIECE_BYTES, part.stop - start)
