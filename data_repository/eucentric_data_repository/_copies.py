"""Second copies of shards in archives: made, remembered, and confirmed again when something hangs on them."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import insert, select, update

from eucentric_core import ConfigurationError, EucentricError, IntegrityError, TransferFailedError, utc_now
from eucentric_transfer import Mover, Outgoing, PosixMover

from ._catalogue import Catalogue, require_kept
from ._database import reading
from ._entries import ShardEntry
from ._tables import copies
from ._writer import CatalogueWriter

__all__ = ["ArchiveOpener", "copies_confirmed", "copy_dataset", "require_elsewhere"]

ArchiveOpener = Callable[[str], Mover]
"""Opens the mover for an archive's address."""

_BATCH = 16

_log = logging.getLogger(__name__)


class _CopyNotes(CatalogueWriter):
    def confirmed(self, idempotency_key: str, address: str, name: str) -> None:
        """Remember where a copy lies."""
        with self._transaction() as connection:
            here = (copies.c.idempotency_key == idempotency_key) & (copies.c.address == address)
            if connection.execute(select(copies.c.name).where(here)).first() is None:
                connection.execute(
                    insert(copies).values(
                        idempotency_key=idempotency_key, address=address, name=name, confirmed_utc=utc_now()
                    )
                )
            else:
                connection.execute(update(copies).where(here).values(name=name, confirmed_utc=utc_now()))


@contextmanager
def _opened(opener: ArchiveOpener, address: str) -> Iterator[Mover]:
    mover = opener(address)
    with ExitStack() as stack:
        stack.callback(mover.close)
        yield mover


def _name(entry: ShardEntry) -> str:
    return f"shards/{entry.dataset_id}/{entry.shard.file_name}"


def copy_dataset(
    catalogue: Catalogue,
    dataset_id: str,
    address: str,
    opener: ArchiveOpener,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> int:
    """Copy the shards of a data set to an archive and remember each copy whose hash was confirmed there.

    Args:
        catalogue: which shards, and where they lie.
        dataset_id: which data set.
        address: of the archive.
        opener: opens the archive's mover.
        progress: told how many of how many shards are there.

    Returns:
        Number of shards in the archive.

    Raises:
        ConfigurationError: there is no such data set.
        DataFormatError: a shard was pruned here.
        EucentricError: the archive refused one; those before it are remembered.
    """
    catalogue.dataset(dataset_id)
    entries = catalogue.shards(dataset_id=dataset_id)
    for entry in entries:
        require_kept(entry)
    with _opened(opener, address) as mover, _CopyNotes(catalogue.database) as notes:
        for first in range(0, len(entries), _BATCH):
            batch = entries[first : first + _BATCH]
            answers = mover.put_many(
                [Outgoing(entry.path, _name(entry), sha256=entry.shard.sha256) for entry in batch]
            )
            failure: EucentricError | None = None
            for entry, answer in zip(batch, answers, strict=True):
                if isinstance(answer, EucentricError):
                    failure = failure or answer
                elif answer.sha256 == entry.shard.sha256:
                    notes.confirmed(entry.shard.idempotency_key, address, answer.name)
            if failure is not None:
                raise failure
            progress(min(first + _BATCH, len(entries)), len(entries))
    return len(entries)


def require_elsewhere(mover: Mover, address: str, root: Path) -> None:
    """Let an archive pass that is not the repository's own folder under another name.

    What a share or a collection shows is known only to whoever looks at both ends: a file that was never
    there before is put into the archive, must not appear in the repository, and is removed.

    Raises:
        ConfigurationError: it appeared in the repository: what lies there is no second copy.
        TransferFailedError, OutOfSpaceError: the archive does not take it.
    """
    content = secrets.token_bytes(32)
    # A name that nobody has looked for: a share remembers for a while what was not there.
    name = f"shards/probe-{secrets.token_hex(16)}"
    mover.put_bytes(content, name)
    try:
        seen = (root / name).exists()
    finally:
        try:
            mover.remove(name, sha256=hashlib.sha256(content).hexdigest())
        except (TransferFailedError, IntegrityError) as error:
            _log.warning("%s stays in %s: %s", name, address, error.what)
    if seen:
        raise ConfigurationError(
            f"The archive {address} is the repository's own folder {root} under another name.",
            safe="nothing was deleted because of what lies there.",
            next_step="take it out of repository.archives, and name a place on other storage.",
        )


def copies_confirmed(
    catalogue: Catalogue, entry: ShardEntry, archives: Mapping[str, Mover]
) -> tuple[str, ...]:
    """The archives whose copy of a shard has the right hash now; each is asked anew.

    A copy that cannot be read, or has another hash, does not count.
    """
    known = select(copies.c.address, copies.c.name).where(
        copies.c.idempotency_key == entry.shard.idempotency_key
    )
    with reading(catalogue.engine, catalogue.database) as connection:
        places = [(row.address, row.name) for row in connection.execute(known)]
    found: dict[object, str] = {}
    own = _identity(PosixMover(catalogue.root), _name(entry), "")
    for address, name in places:
        mover = archives.get(address)
        if mover is None:
            continue
        try:
            identity = _identity(mover, name, address)
            if identity != own and mover.sha256(name) == entry.shard.sha256:
                found[identity] = address
        except (TransferFailedError, IntegrityError):
            continue
    return tuple(found.values())


def _identity(mover: Mover, name: str, address: str) -> object:
    """What tells one copy from another. Two names of one file, or of its inode, are one copy."""
    if isinstance(mover, PosixMover):
        try:
            status = (mover.root / name).stat()
        except OSError:
            return address
        return status.st_dev, status.st_ino
    return address
