"""Fetching what agents shipped to a far end that is not mounted here, such as an S3 bucket.

An agent sends a shard and then its document to `incoming/` of the inbox, and waits for a receipt under
`receipts/`. Here the shard is fetched into the root's own `incoming`, taken in as ever, and answered in the
inbox; only when the receipt lies there is the shard removed from it. Every step may be repeated.
"""

from __future__ import annotations

import logging
from hashlib import sha256

from pydantic import ValidationError

from eucentric_core import (
    DataFormatError,
    EucentricError,
    IntegrityError,
    Receipt,
    Shard,
    reached,
    write_atomic,
)
from eucentric_transfer import Mover, checked_name

from ._folders import RepositoryFolders

__all__ = ["Inbox"]

_MAX_DOCUMENT_BYTES = 64 << 20
_BATCH = 32
_DATASET_SUFFIX = ".dataset.json"

_log = logging.getLogger(__name__)


class Inbox:
    """The far end that agents ship to. One thread uses it, in turns: `fetch`, take in, `answer`.

    Args:
        mover: of the far end.
        folders: of this repository.
    """

    def __init__(self, mover: Mover, folders: RepositoryFolders) -> None:
        self._mover = mover
        self._folders = folders
        self._taken: dict[str, bytes] = {}

    def fetch(self) -> int:
        """Fetch shards and manifests that have arrived whole in the inbox, a batch of them.

        Returns:
            Number of documents that `answer` will see to.

        Raises:
            TransferFailedError: the far end does not answer.
            OutOfSpaceError: this disk has no room.
        """
        listed = [name.rpartition("/")[2] for name in self._mover.list("incoming")]
        # Manifests last, as when they are taken in.
        names = sorted(
            (name for name in listed if name.endswith(".json") and name not in self._taken),
            key=lambda name: (name.endswith(_DATASET_SUFFIX), name),
        )[:_BATCH]
        documents = self._mover.read_many(
            [f"incoming/{name}" for name in names], max_bytes=_MAX_DOCUMENT_BYTES
        )
        for name in names:
            content = documents.get(f"incoming/{name}")
            if content is None:
                continue
            try:
                self._fetch(name, content)
            except (DataFormatError, IntegrityError) as error:
                self._set_aside(name, content, error)
            self._taken[name] = content
        return len(self._taken)

    def answer(self) -> int:
        """Send the receipts of what was taken in, then remove it from the inbox.

        What was refused has no receipt: its document goes, so that the sender sees it and sends again; the
        file itself stays until then.

        Returns:
            Number of documents that are done with.

        Raises:
            TransferFailedError: the far end does not answer.
        """
        done = 0
        for name, content in list(self._taken.items()):
            if (self._folders.incoming / name).exists():
                continue
            receipt = None if name.endswith(_DATASET_SUFFIX) else self._receipt(name, content)
            if receipt is not None:
                self._mover.put_bytes(receipt.model_dump_json().encode(), f"receipts/{name}")
                reached("inbox.receipted")
                self._mover.remove(f"incoming/{name.removesuffix('.json')}", sha256=receipt.sha256)
            self._mover.remove(f"incoming/{name}", sha256=sha256(content).hexdigest())
            reached("inbox.removed")
            del self._taken[name]
            done += 1
        return done

    def close(self) -> None:
        """Let go of connections."""
        self._mover.close()

    def _fetch(self, name: str, content: bytes) -> None:
        checked_name(name)
        if not name.endswith(_DATASET_SUFFIX):
            shard = _shard(name, content)
            if self._receipt(name, content) is not None and self._is_here(shard):
                # A crash came between receipt and answer.
                return
            remote = f"incoming/{shard.file_name}"
            if self._mover.size(remote) is None:
                raise _refuse(f"{name} announces a shard that is not there.")
            self._mover.get(remote, self._folders.incoming / shard.file_name, sha256=shard.sha256)
            reached("inbox.fetched")
        write_atomic(self._folders.incoming / name, content)
        reached("inbox.announced")

    def _is_here(self, shard: Shard) -> bool:
        return self._folders.shard(shard.dataset_id, shard.file_name).is_file()

    def _receipt(self, name: str, content: bytes) -> Receipt | None:
        """This repository's receipt for just this document."""
        try:
            receipt = Receipt.model_validate_json((self._folders.receipts / name).read_bytes())
            shard = Shard.model_validate_json(content)
        except (FileNotFoundError, ValidationError):
            return None
        return receipt if receipt.idempotency_key == shard.idempotency_key else None

    def _set_aside(self, name: str, content: bytes, error: EucentricError) -> None:
        _log.error("%s in the inbox refused: %s", name, error)
        # Through a name of our own: what it is called there may be anything.
        held = self._folders.incoming / f"inbox-{sha256(name.encode()).hexdigest()[:16]}"
        write_atomic(held, content)
        self._folders.set_aside(held, error.report())


def _shard(name: str, content: bytes) -> Shard:
    try:
        shard = Shard.model_validate_json(content)
    except ValidationError as error:
        raise _refuse(f"{name} does not describe a shard: {error}.") from error
    if name != f"{shard.file_name}.json":
        raise _refuse(f"{name} describes {shard.file_name}.")
    return shard


def _refuse(what: str) -> DataFormatError:
    return DataFormatError(
        what,
        safe="its document is in the quarantine, nothing was registered.",
        next_step="send it again from its source.",
    )
