"""The shipper: brings sealed shards to the repository and frees them once it holds their receipt."""

from __future__ import annotations

import logging
import threading

from pydantic import ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set
from tenacity.wait import wait_random_exponential

from eucentric_core import (
    DataFormatError,
    ErrorReport,
    EucentricError,
    IntegrityError,
    OutOfSpaceError,
    Receipt,
    Shard,
    TransferFailed,
    TransferFailedError,
    TransportError,
)
from eucentric_transfer import Mover

from ._errors import JournalError, disk_errors
from ._journal import Journal
from ._ledger import OutboxEntry
from ._status import Publish, ShipperStatus

__all__ = ["Shipper"]

_INCOMING = "incoming"
_RECEIPTS = "receipts"
_MAX_RECEIPT_BYTES = 64 << 10
_MAX_DELIVERIES = 3
_MAX_WAIT_S = 30.0
_STOP_TIMEOUT_S = 10.0

_log = logging.getLogger(__name__)


class Shipper:
    """A thread between the journal's outbox and a mover.

    Delivery is at least once, with exactly one effect: names and idempotency keys derive from content.
    A local shard is deleted only after a receipt with its hash is stored in the journal.

    Args:
        journal: whose outbox to empty.
        mover: to the repository's root.
        publish: sends `TransferFailed`, once per outage.
        poll_s: how often to look for new shards and receipts.
        max_wait_s: longest wait between tries while the far end does not answer.
    """

    def __init__(
        self,
        journal: Journal,
        mover: Mover,
        *,
        publish: Publish,
        poll_s: float = 0.5,
        max_wait_s: float = _MAX_WAIT_S,
    ) -> None:
        self._journal = journal
        self._mover = mover
        self._publish = publish
        self._poll_s = poll_s
        self._max_wait_s = max_wait_s
        self._stopping = threading.Event()
        self._failures = 0
        self._error: ErrorReport | None = None
        self._busy = False
        self._finished = False
        self._thread = threading.Thread(target=self._run, name="shipper", daemon=True)

    def start(self) -> None:
        """Begin to ship."""
        self._thread.start()

    def stop(self) -> None:
        """End after the file in hand; what is not shipped is shipped after the next start."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=_STOP_TIMEOUT_S)

    def status(self) -> ShipperStatus:
        """State and backlog."""
        backlog = self._journal.ledger.backlog()
        pending, pending_bytes = backlog.get("pending", (0, 0))
        running = "retrying" if self._error else "shipping" if self._busy else "idle"
        ended = "stopped" if self._finished or self._thread.ident is None else "failed"
        return ShipperStatus(
            state=running if self._thread.is_alive() else ended,
            pending_shards=pending,
            pending_bytes=pending_bytes,
            awaiting_receipt=backlog.get("delivered", (0, 0))[0],
            confirmed=sum(backlog.get(state, (0, 0))[0] for state in ("confirmed", "done")),
            stuck=backlog.get("stuck", (0, 0))[0],
            failures=self._failures,
            error=self._error,
        )

    def ship_once(self) -> None:
        """One pass: free what has a receipt, look for receipts, deliver what is pending.

        Raises:
            TransferFailedError, OutOfSpaceError: the far end does not answer or has no room.
            JournalError: the local disk failed.
        """
        ledger = self._journal.ledger
        for entry in ledger.outbox("confirmed"):
            self._free(entry)
        failures: list[TransferFailedError] = []
        for entry in ledger.outbox("delivered"):
            try:
                self._look_for_receipt(entry)
            except TransferFailedError as error:
                failures.append(error)
        for entry in ledger.outbox("pending"):
            if self._stopping.is_set():
                return
            self._busy = True
            self._deliver(entry)
        self._busy = False
        if failures:
            raise failures[0]

    def _deliver(self, entry: OutboxEntry) -> None:
        ledger = self._journal.ledger
        document = entry.document.encode()
        if entry.kind == "dataset":
            self._mover.put_bytes(document, f"{_INCOMING}/{entry.name}")
            ledger.move(entry.name, "done")
            return
        shard = Shard.model_validate_json(document)
        try:
            self._mover.put(
                self._journal.folders.shards / entry.name, f"{_INCOMING}/{entry.name}", sha256=shard.sha256
            )
        except (IntegrityError, DataFormatError) as error:
            # Trying again cannot help; the other shards go on.
            ledger.move(entry.name, "stuck")
            self._report(error)
            return
        # The document comes second: where it is, the shard is whole.
        self._mover.put_bytes(document, f"{_INCOMING}/{entry.name}.json")
        ledger.move(entry.name, "delivered")

    def _look_for_receipt(self, entry: OutboxEntry) -> None:
        name = f"{_RECEIPTS}/{entry.name}.json"
        if self._mover.size(name) is None:
            self._send_again_if_gone(entry, name)
            return
        shard = Shard.model_validate_json(entry.document)
        try:
            receipt = Receipt.model_validate_json(self._mover.read_bytes(name, max_bytes=_MAX_RECEIPT_BYTES))
        except (ValidationError, DataFormatError) as error:
            raise TransferFailedError(
                f"The receipt of {entry.name} cannot be read.",
                safe="the local shard is kept.",
                next_step="check the repository's version.",
            ) from error
        if (receipt.sha256, receipt.size_bytes) != (shard.sha256, shard.size_bytes):
            raise TransferFailedError(
                f"The repository's receipt of {entry.name} is for another content.",
                safe="the local shard is kept.",
                next_step="check the repository: `eucentric repository verify`.",
                expected_sha256=shard.sha256,
                receipt_sha256=receipt.sha256,
            )
        self._journal.ledger.move(entry.name, "confirmed", receipt=receipt)
        self._free(entry)

    def _send_again_if_gone(self, entry: OutboxEntry, receipt_name: str) -> None:
        """The repository took a shard away without a receipt: it was refused there, or lost."""
        if self._mover.size(f"{_INCOMING}/{entry.name}.json") is not None:
            return
        # It may have been registered between the two looks.
        if self._mover.size(receipt_name) is not None:
            return
        stuck = entry.attempts >= _MAX_DELIVERIES
        self._journal.ledger.move(entry.name, "stuck" if stuck else "pending")
        raise TransferFailedError(
            f"The repository has no receipt for {entry.name}, delivered {entry.attempts} times.",
            safe=f"the local shard is kept and {'not sent again' if stuck else 'sent again'}.",
            next_step="see the repository's quarantine for the reason.",
        )

    def _free(self, entry: OutboxEntry) -> None:
        with disk_errors("removing a shard the repository holds"):
            (self._journal.folders.shards / entry.name).unlink(missing_ok=True)
        self._journal.ledger.move(entry.name, "done")

    def _run(self) -> None:
        retrying = Retrying(
            retry=retry_if_exception_type((TransferFailedError, OutOfSpaceError, JournalError)),
            stop=stop_when_event_set(self._stopping),
            wait=wait_random_exponential(multiplier=0.5, max=self._max_wait_s),
            sleep=sleep_using_event(self._stopping),
            before_sleep=self._failed,
            reraise=True,
        )
        while not self._stopping.is_set():
            try:
                retrying(self.ship_once)
                self._error = None
            except (TransferFailedError, OutOfSpaceError, JournalError) as error:
                _log.warning("stopped with the far end unreachable: %s", error)
            self._stopping.wait(self._poll_s)
        self._finished = True

    def _failed(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, EucentricError):
            self._failures += 1
            first = self._error is None
            self._error = error.report()
            if first:
                self._report(error)

    def _report(self, error: EucentricError) -> None:
        _log.error("transfer failed: %s", error)
        try:
            self._publish(TransferFailed(source="shipper", error=error.report()))
        except TransportError as unheard:
            _log.warning("TransferFailed was not published: %s", unheard)
