"""Fetching what agents shipped to a far end that is not mounted here, such as an S3 bucket.

An agent sends a shard and then its document to `incoming/` of the inbox, and waits for a receipt under
`receipts/`. Here the shard is fetched into the root's own `incoming`, taken in as ever, and answered in the
inbox; only when the receipt lies there is the shard removed from it. Every step may be repeated.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType

from pydantic import ValidationError

from eucentric_core import (
    DataFormatError,
    EucentricError,
    IntegrityError,
    Receipt,
    SentDocument,
    Shard,
    TransferFailedError,
    reached,
    write_atomic,
)
from eucentric_transfer import FarEndError, Mover, checked_name

from ._folders import RepositoryFolders

__all__ = ["Inbox"]

_MAX_DOCUMENT_BYTES = 64 << 20
_BATCH = 32
_MAX_SHOWN = 120
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
        self._left: dict[str, str] = {}

    @property
    def left_alone(self) -> Mapping[str, str]:
        """What lies in the inbox and is nothing to fetch, with the reason; a person has to look at it."""
        return MappingProxyType(self._left)

    def fetch(self) -> int:
        """Fetch shards and manifests that have arrived whole in the inbox, a batch of them.

        One thing's failure does not hold up the others; the first is raised at the end.

        Returns:
            Number of documents that `answer` will see to.

        Raises:
            TransferFailedError: the far end does not answer, or something could not be fetched.
            OutOfSpaceError: this disk has no room.
        """
        listed = [name.rpartition("/")[2] for name in self._mover.list("incoming")]
        # What was taken away there may come again as something else.
        self._left = {name: self._left[name] for name in listed if name in self._left}
        for name in listed:
            self._require_plain(name)
        # Manifests last, as when they are taken in.
        names = sorted(
            (n for n in listed if n.endswith(".json") and n not in self._taken and n not in self._left),
            key=lambda name: (name.endswith(_DATASET_SUFFIX), name),
        )[:_BATCH]
        failures: list[EucentricError] = []
        for name, content in self._read(names):
            if content is None:
                continue
            try:
                if isinstance(content, EucentricError):
                    raise content
                self._fetch(name, content)
            except FarEndError:
                raise
            except TransferFailedError as error:
                failures.append(error)
                continue
            except (DataFormatError, IntegrityError) as error:
                if isinstance(content, EucentricError):
                    self._leave(name, error)
                    self._set_aside(name, b"", error)
                    continue
                self._set_aside(name, content, error)
            self._taken[name] = content
        if failures:
            raise failures[0]
        return len(self._taken)

    def answer(self) -> int:
        """Send the receipts of what was taken in, then remove it from the inbox.

        What was refused has no receipt: its document goes, so that the sender sees it and sends again; the
        file itself stays until then. What lies there with another content than was taken in is left alone.

        Returns:
            Number of documents that are done with.

        Raises:
            TransferFailedError: the far end does not answer.
        """
        done = 0
        for name, content in list(self._taken.items()):
            if (self._folders.incoming / name).exists():
                continue
            receipt = self._receipt(name, content)
            if receipt is not None:
                self._mover.put_bytes(receipt.model_dump_json().encode(), f"receipts/{name}")
                reached("inbox.receipted")
            try:
                self._remove(name, content, receipt)
            except (IntegrityError, DataFormatError) as error:
                self._leave(name, error)
            del self._taken[name]
            done += 1
        return done

    def _remove(self, name: str, content: bytes, receipt: Receipt | None) -> None:
        shard = f"incoming/{name.removesuffix('.json')}"
        done = None if name.endswith(_DATASET_SUFFIX) else receipt
        if done is not None:
            self._mover.remove(shard, sha256=done.sha256)
        try:
            self._mover.remove(f"incoming/{name}", sha256=sha256(content).hexdigest())
            if done is not None:
                # Sent again just now, and its document was the one that has gone.
                self._mover.remove(shard, sha256=done.sha256)
        except IntegrityError:
            # Its sender has sent another meanwhile, which is looked at in its turn.
            _log.info("%s in the inbox is another now", name)
        reached("inbox.removed")

    def _read(self, names: Sequence[str]) -> Iterator[tuple[str, bytes | EucentricError | None]]:
        """The documents; of one that cannot be read, why."""
        try:
            found = self._mover.read_many(
                [f"incoming/{name}" for name in names], max_bytes=_MAX_DOCUMENT_BYTES
            )
        except FarEndError:
            raise
        except (TransferFailedError, DataFormatError) as error:
            if len(names) == 1:
                yield names[0], error
                return
            # One of them is in the way of the others.
            for name in names:
                yield from self._read([name])
            return
        for name in names:
            yield name, found.get(f"incoming/{name}")

    def _require_plain(self, name: str) -> None:
        if name not in self._left:
            try:
                checked_name(name)
            except DataFormatError as error:
                self._leave(name, error)

    def _leave(self, name: str, error: EucentricError) -> None:
        # Through its escapes: what it is called there may be anything.
        _log.error("%a in the inbox is left alone: %s", name[:_MAX_SHOWN], error.what)
        self._left[name] = error.what

    def close(self) -> None:
        """Let go of connections."""
        self._mover.close()

    def _fetch(self, name: str, content: bytes) -> None:
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
            document = SentDocument.opened(content)
            if name.endswith(_DATASET_SUFFIX):
                return receipt if receipt.sha256 == sha256(document).hexdigest() else None
            shard = Shard.model_validate_json(document)
        except (FileNotFoundError, ValidationError, IntegrityError):
            return None
        return receipt if receipt.idempotency_key == shard.idempotency_key else None

    def _set_aside(self, name: str, content: bytes, error: EucentricError) -> None:
        _log.error("%s in the inbox refused: %s", name, error)
        # Through a name of our own: what it is called there may be anything.
        held = self._folders.incoming / f"inbox-{sha256(os.fsencode(name)).hexdigest()[:16]}"
        if not content and (self._folders.quarantine / f"{held.name}.reason.json").exists():
            # It was there before this service started anew, and is said once.
            return
        write_atomic(held, content)
        self._folders.set_aside(held, error.report())


def _shard(name: str, content: bytes) -> Shard:
    try:
        shard = Shard.model_validate_json(SentDocument.opened(content))
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
