"""Looking for the receipts of what was delivered, and what follows from each, or from there being none."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from eucentric_core import DataFormatError, EucentricError, TransferFailedError, utc_now
from eucentric_transfer import FarEndError, Mover

from ._batches import INCOMING, chunks, document_name, incoming_name, receipt_name
from ._journal import Journal
from ._ledger import OutboxEntry
from ._receipts import checked_receipt
from ._steps import reached

__all__ = ["OUTBOX_ROWS", "ReceiptDesk"]

OUTBOX_ROWS = 4096
"""What is looked at in one pass."""

_MAX_RECEIPT_BYTES = 64 << 10
_MAX_DELIVERIES = 3
_MAX_WRONG_RECEIPTS = 3
_AT_A_TIME = 64
_WORTH_A_LISTING = 2

_log = logging.getLogger(__name__)

_GiveUp = Callable[[OutboxEntry, EucentricError, int], bool]


class ReceiptDesk:
    """Where the shipper asks for receipts. One thread uses it.

    Args:
        journal: whose delivered shards wait.
        mover: to where their receipts appear.
        give_up: keeps why an entry failed, and says whether it was the last of so many times.
        pause_s: shortest pause between two looks.
    """

    def __init__(self, journal: Journal, mover: Mover, *, give_up: _GiveUp, pause_s: float) -> None:
        self._journal = journal
        self._mover = mover
        self._give_up = give_up
        self._pause_s = pause_s
        self._due_s = 0.0
        self.last_found_utc: datetime | None = None
        """When a receipt was found for the last time."""

    def look(self) -> Iterator[list[EucentricError]]:
        """Look for the receipts of what is delivered, some at a time, unless it was looked for just now.

        A shard whose receipt is here is confirmed; one that was taken away without any is pending again.

        Returns:
            What is wrong with some of them and is looked at again, one list for each batch.

        Raises:
            TransferFailedError: the far end does not answer.
            JournalError: the local disk failed.
        """
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        delivered = self._journal.ledger.outbox("delivered", limit=OUTBOX_ROWS)
        if delivered:
            self._due_s = now_s + self._pause_s
        for some in chunks(delivered, lambda chosen: len(chosen) < _AT_A_TIME):
            yield self._look_for(some)

    def _look_for(self, entries: Sequence[OutboxEntry]) -> list[EucentricError]:
        names = {entry.name: receipt_name(entry) for entry in entries}
        failures: list[EucentricError] = []
        missing: list[OutboxEntry] = []
        for entry, content in self._read(entries, names):
            if content is None:
                missing.append(entry)
                continue
            try:
                if isinstance(content, EucentricError):
                    raise content
                self._settle(entry, content)
            except (TransferFailedError, DataFormatError) as error:
                if not self._give_up(entry, error, _MAX_WRONG_RECEIPTS):
                    failures.append(error)
        for entry in self._perhaps_gone(missing):
            failures += self._send_again_if_gone(entry, names[entry.name])
        self._journal.local_copies.trim()
        return failures

    def settles(self, entry: OutboxEntry) -> bool:
        """Whether a document has its receipt, though the mover could not find it after sending it.

        The repository takes a document away once it has answered it, perhaps just before the mover looks.

        Raises:
            JournalError: the local disk failed.
        """
        name = receipt_name(entry)
        try:
            content = self._mover.read_many([name], max_bytes=_MAX_RECEIPT_BYTES)[name]
            if content is None:
                return False
            self._settle(entry, content)
        except (TransferFailedError, DataFormatError) as error:
            _log.warning("no receipt settles %s: %s", entry.name, error.what)
            return False
        return True

    def _settle(self, entry: OutboxEntry, content: bytes) -> None:
        """A receipt lies there: the local file may go, if there is one."""
        receipt = checked_receipt(entry, content)
        reached("receipt.found")
        self._journal.ledger.confirm(entry.name, receipt)
        self.last_found_utc = utc_now()
        reached("receipt.stored")

    def _perhaps_gone(self, missing: Sequence[OutboxEntry]) -> Sequence[OutboxEntry]:
        """Those that have to be asked for one by one: a listing says of many at once that they still wait."""
        if len(missing) <= _WORTH_A_LISTING:
            return missing
        waiting = set(self._mover.list(INCOMING))
        return [entry for entry in missing if document_name(entry) not in waiting]

    def _read(
        self, entries: Sequence[OutboxEntry], names: dict[str, str]
    ) -> Iterator[tuple[OutboxEntry, bytes | EucentricError | None]]:
        try:
            found = self._mover.read_many(list(names.values()), max_bytes=_MAX_RECEIPT_BYTES)
        except FarEndError:
            raise
        except (TransferFailedError, DataFormatError) as error:
            if len(entries) == 1:
                yield entries[0], error
                return
            # One of them is in the way of the others.
            for entry in entries:
                yield from self._read([entry], {entry.name: names[entry.name]})
            return
        for entry in entries:
            yield entry, found[names[entry.name]]

    def _send_again_if_gone(self, entry: OutboxEntry, receipt_name: str) -> list[EucentricError]:
        """The repository took a shard or a manifest away without a receipt: it was refused there, or lost."""
        if self._mover.size(incoming_name(document_name(entry))) is not None:
            return []
        # It may have been registered between the two looks.
        if self._mover.size(receipt_name) is not None:
            return []
        last = entry.attempts >= _MAX_DELIVERIES
        error = TransferFailedError(
            f"The repository has no receipt for {entry.name}, delivered {entry.attempts} times.",
            safe=f"it is kept here and {'not sent again' if last else 'sent again'}.",
            next_step="see the repository's quarantine for the reason; then `eucentric agent retry-stuck`.",
        )
        if last:
            self._give_up(entry, error, 1)
            return []
        self._journal.ledger.move(entry.name, "pending")
        return [error]
