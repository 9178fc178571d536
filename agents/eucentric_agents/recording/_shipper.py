"""The shipper: brings sealed shards to the repository and frees them once it holds their receipt."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from datetime import datetime

from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set
from tenacity.wait import wait_random_exponential

from eucentric_core import (
    DataFormatError,
    ErrorReport,
    EucentricError,
    Event,
    IntegrityError,
    OutOfSpaceError,
    Shard,
    TransferFailed,
    TransferFailedError,
    TransferRecovered,
    TransportError,
    utc_now,
)
from eucentric_transfer import FarEndError, Mover, Outgoing

from ._batches import (
    chunks,
    document_to_send,
    failure_of,
    incoming_name,
    is_whole,
    next_pause_s,
)
from ._journal import Journal
from ._ledger import OutboxEntry, StuckEntry
from ._meter import ShippingMeter
from ._receipt_desk import OUTBOX_ROWS, ReceiptDesk
from ._receipt_watch import ReceiptWatch
from ._status import Publish, ShipperStatus
from ._steps import reached

__all__ = ["Shipper"]

_MAX_FAILURES = 5
_MAX_FAILURES_ALONE = 240
"""More than an hour at the longest wait, a quarter of a minute in the mean."""
_BATCH_FILES = 32
_BATCH_BYTES = 1 << 30
_MAX_WAIT_S = 30.0
_STOP_TIMEOUT_S = 10.0

_log = logging.getLogger(__name__)


class Shipper:
    """A thread between the journal's outbox and a mover.

    Delivery is at least once, with exactly one effect: names and idempotency keys derive from content.
    A local shard is deleted only after a receipt with its hash is stored in the journal.

    Shards go in batches, their documents after them: where a document is, its shard is whole. A shard that
    fails while others arrive is stuck after a few tries, with its reason. When nothing arrives everything is
    tried less and less often: while the far end does not answer, nothing is counted against anybody; what
    fails for a reason of its own is stuck after `max_failures_alone`.

    Args:
        journal: whose outbox to empty.
        mover: to the repository's root, or to its inbox.
        publish: sends `TransferFailed` once per outage and per stuck shard, and `TransferRecovered`.
        meter: what the mover was told to report its progress to.
        stopping: set to stop; the same that the mover was given, so that it lets go of the file in hand.
        poll_s: how often to look for new shards, and for receipts while they come.
        idle_s: longest pause between looks for receipts that do not come; stores bill for every look.
        receipts_s: shortest pause between two looks for receipts, however much is sent meanwhile.
        batch_files: how many shards go together at most.
        max_wait_s: longest wait between tries while the far end does not answer.
        max_failures_alone: how often something may fail, for another reason, while nothing else arrives.
    """

    def __init__(
        self,
        journal: Journal,
        mover: Mover,
        *,
        publish: Publish,
        meter: ShippingMeter | None = None,
        stopping: threading.Event | None = None,
        poll_s: float = 0.5,
        idle_s: float = 0.5,
        receipts_s: float = 0.0,
        batch_files: int = _BATCH_FILES,
        max_wait_s: float = _MAX_WAIT_S,
        max_failures_alone: int = _MAX_FAILURES_ALONE,
    ) -> None:
        self._journal = journal
        self._mover = mover
        self._publish = publish
        self._meter = meter or ShippingMeter()
        self._poll_s = poll_s
        self._idle_s = max(idle_s, poll_s)
        self._receipt_desk = ReceiptDesk(journal, mover, give_up=self._give_up, pause_s=receipts_s)
        self._batch_files = batch_files
        self._max_wait_s = max_wait_s
        self._max_failures_alone = max_failures_alone
        self._stopping = stopping or threading.Event()
        self._failures = 0
        self._error: ErrorReport | None = None
        self._outage_since_s: float | None = None
        self._last_arrival_utc: datetime | None = None
        self._receipts = ReceiptWatch()
        self._busy = False
        self._finished = False
        self._thread = threading.Thread(target=self._run, name="shipper", daemon=True)

    def start(self) -> None:
        """Begin to ship."""
        self._thread.start()

    def stop(self) -> None:
        """End soon; what is not shipped is shipped after the next start."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=_STOP_TIMEOUT_S)

    def status(self) -> ShipperStatus:
        """State, backlog and progress."""
        backlog = self._journal.ledger.backlog()
        pending, pending_bytes = backlog.get("pending", (0, 0))
        running = "retrying" if self._error else "shipping" if self._busy else "idle"
        ended = "stopped" if self._finished or self._thread.ident is None else "failed"
        shown, since_s = self._meter.read(), self._outage_since_s
        left_bytes, rate = max(0, pending_bytes - shown.sent_bytes), shown.rate_bytes_per_s
        return ShipperStatus(
            state=running if self._thread.is_alive() else ended,
            pending_shards=pending,
            pending_bytes=pending_bytes,
            awaiting_receipt=backlog.get("delivered", (0, 0))[0],
            confirmed=sum(backlog.get(state, (0, 0))[0] for state in ("confirmed", "done")),
            stuck=self._journal.ledger.stuck_count(),
            failures=self._failures,
            error=self._error,
            sending=shown.name,
            sent_bytes=shown.sent_bytes,
            sending_bytes=shown.size_bytes,
            rate_bytes_per_s=rate,
            # While nothing arrives, the last rate says nothing.
            eta_s=left_bytes / rate if pending and rate and since_s is None else None,
            last_success_utc=self._succeeded_utc,
            outage_s=None if since_s is None else time.monotonic() - since_s,
            oldest_unreceipted_s=self._receipts.silent_s,
        )

    @property
    def failed(self) -> bool:
        """Whether the thread has ended by itself."""
        return self._thread.ident is not None and not self._thread.is_alive() and not self._finished

    def stuck(self) -> tuple[StuckEntry, ...]:
        """What is not sent any more, and why."""
        return tuple(self._journal.ledger.stuck())

    def retry_stuck(self, name: str | None = None) -> tuple[str, ...]:
        """Send one stuck shard again, or all of them; returns their names."""
        return self._journal.ledger.retry_stuck(name)

    def ship_once(self) -> bool:
        """One pass: free what has a receipt, look for receipts, deliver what is pending.

        One thing's failure does not hold up the others; the first is raised at the end of the pass.

        Returns:
            Whether anything was sent or receipted.

        Raises:
            TransferFailedError, OutOfSpaceError: the far end does not answer or has no room, something did
                not arrive, or what the far end says is not so.
            JournalError: the local disk failed.
        """
        ledger, before_utc = self._journal.ledger, self._succeeded_utc
        self._journal.local_copies.trim()
        failures: list[EucentricError] = []
        for wrong in self._receipt_desk.look():
            failures += wrong
            if self._stopping.is_set():
                return False
        pending = ledger.outbox("pending", limit=OUTBOX_ROWS)
        self._busy = bool(pending)
        try:
            for some in chunks(pending, self._has_room):
                if self._stopping.is_set():
                    return False
                failed = self._deliver(some)
                for error in failed:
                    if isinstance(error, FarEndError | OutOfSpaceError):
                        raise error
                failures += failed
        finally:
            self._busy = False
            self._meter.rest()
        if failures:
            raise failures[0]
        return self._succeeded_utc != before_utc

    @property
    def _succeeded_utc(self) -> datetime | None:
        """When something arrived, or was receipted, for the last time."""
        times = [at for at in (self._last_arrival_utc, self._receipt_desk.last_found_utc) if at is not None]
        return max(times, default=None)

    def _has_room(self, batch: Sequence[OutboxEntry]) -> bool:
        n_bytes = sum(entry.size_bytes for entry in batch)
        return len(batch) < self._batch_files and n_bytes < _BATCH_BYTES

    def _deliver(self, entries: Sequence[OutboxEntry]) -> list[EucentricError]:
        """Send a batch; returns what failed and is tried again."""
        shards = [entry for entry in entries if entry.kind == "shard"]
        reached("ship.begun")
        answers = self._mover.put_many([self._outgoing(entry) for entry in shards])
        reached("ship.delivered")
        documents = [
            entry for entry, arrived in zip(shards, answers, strict=True) if is_whole(entry, arrived)
        ]
        documents += [entry for entry in entries if entry.kind == "dataset"]
        # The documents come second: where one is, its shard is whole.
        told = self._mover.put_many([document_to_send(entry) for entry in documents])
        reached("ship.documented")
        outcome = dict(zip((entry.name for entry in shards), answers, strict=True))
        outcome |= zip((entry.name for entry in documents), told, strict=True)
        failed = [
            (entry, answer)
            for entry in entries
            if (answer := failure_of(entry, outcome[entry.name])) is not None
        ]
        settled = {entry.name for entry, error in failed if self._is_settled(entry, error, documents)}
        failed = [(entry, error) for entry, error in failed if entry.name not in settled]
        failed_names = settled | {entry.name for entry, _ in failed}
        for entry in entries:
            if entry.name not in failed_names:
                self._journal.ledger.move(entry.name, "delivered")
                self._last_arrival_utc = utc_now()
                reached("ship.noted")
        some_arrived = len(failed) < len(entries)
        return [error for entry, error in failed if not self._is_stuck(entry, error, counts=some_arrived)]

    def _is_settled(
        self, entry: OutboxEntry, error: EucentricError, documents: Sequence[OutboxEntry]
    ) -> bool:
        """Whether the repository has answered a document that the mover says has not arrived."""
        if entry not in documents or isinstance(error, FarEndError | OutOfSpaceError):
            return False
        return self._receipt_desk.settles(entry)

    def _outgoing(self, entry: OutboxEntry) -> Outgoing:
        shard = Shard.model_validate_json(entry.document)
        return Outgoing(self._journal.folders.shards / entry.name, incoming_name(entry.name), shard.sha256)

    def _is_stuck(self, entry: OutboxEntry, error: EucentricError, *, counts: bool) -> bool:
        """Keep why an entry failed, and give it up if to try again is no use."""
        if self._stopping.is_set() or isinstance(error, FarEndError | OutOfSpaceError):
            return False
        if isinstance(error, IntegrityError | DataFormatError):
            return self._give_up(entry, error, 1)
        # That nothing arrives says little about this one, until it has gone on for long.
        return self._give_up(entry, error, _MAX_FAILURES if counts else self._max_failures_alone)

    def _give_up(self, entry: OutboxEntry, error: EucentricError, stuck_after: int) -> bool:
        """Keep why an entry failed; at the last time it is stuck, and somebody is told."""
        if not self._journal.ledger.note_failure(entry.name, error.report(), stuck_after=stuck_after):
            return False
        self._report(error)
        return True

    def _run(self) -> None:
        retrying = Retrying(
            # Whatever it is, shipping is tried again: a thread that has died ships nothing and tells nobody.
            retry=retry_if_exception_type(Exception),
            stop=stop_when_event_set(self._stopping),
            wait=wait_random_exponential(multiplier=0.5, max=self._max_wait_s),
            sleep=sleep_using_event(self._stopping),
            before_sleep=self._failed,
            reraise=True,
        )
        pause_s = self._poll_s
        while not self._stopping.is_set():
            try:
                moved = retrying(self.ship_once)
                self._recovered()
                self._watch_receipts()
            except Exception as error:  # noqa: BLE001
                if self._stopping.is_set():
                    _log.warning("stopped before everything was shipped: %s", error)
                    break
                _log.error("a pass did not end well, and the next one follows", exc_info=error)
                moved = False
            pause_s = next_pause_s(pause_s, moved=moved, poll_s=self._poll_s, idle_s=self._idle_s)
            self._rest(pause_s)
        self._finished = True

    def _rest(self, pause_s: float) -> None:
        """Wait until there is something to send, or so long."""
        end_s = time.monotonic() + pause_s
        while (left_s := end_s - time.monotonic()) > 0:
            if self._stopping.wait(min(left_s, self._poll_s)) or self._is_something_pending():
                return

    def _is_something_pending(self) -> bool:
        try:
            return self._journal.ledger.is_something_pending()
        except Exception:  # noqa: BLE001
            # The next pass meets it, too, if it lasts; there it is told and tried again.
            _log.warning("the outbox could not be looked at", exc_info=True)
            return True

    def _failed(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        if error is not None and not isinstance(error, EucentricError):
            _log.error("shipping failed unexpectedly", exc_info=error)
            error = TransferFailedError(
                f"Shipping failed: {type(error).__name__}: {error}",
                safe="what is not receipted is kept here, and sending is tried again.",
                next_step="see this service's log, and report it.",
            )
        if error is not None:
            self._failures += 1
            self._error = error.report()
            if self._outage_since_s is None:
                self._outage_since_s = time.monotonic()
                self._report(error)

    def _recovered(self) -> None:
        self._error = None
        if self._outage_since_s is not None and not self._stopping.is_set():
            outage_s = time.monotonic() - self._outage_since_s
            self._outage_since_s = None
            _log.info("transfers arrive again after %.0f s", outage_s)
            self._tell(TransferRecovered(source="shipper", outage_s=outage_s))
            self._receipts.forget()

    def _watch_receipts(self) -> None:
        if not self._stopping.is_set():
            self._receipts.look(e.name for e in self._journal.ledger.outbox("delivered", limit=OUTBOX_ROWS))
            if (event := self._receipts.news()) is not None:
                _log.warning(
                    "%s", event.error.what if isinstance(event, TransferFailed) else "receipts come again"
                )
                self._tell(event)

    def _report(self, error: EucentricError) -> None:
        _log.error("transfer failed: %s", error)
        self._tell(TransferFailed(source="shipper", error=error.report()))

    def _tell(self, event: Event) -> None:
        try:
            self._publish(event)
        except TransportError as unheard:
            _log.warning("%s was not published: %s", event.kind, unheard)
