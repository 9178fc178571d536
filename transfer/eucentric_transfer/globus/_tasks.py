"""From an order to an ended task: written down before it is submitted, at most so many at a time."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from eucentric_core import EucentricError, GlobusSettings, TransferFailedError, reached

from .._mover import FarEndError
from ._address import GlobusAddress
from ._ledger import Purpose, StoredFile, StoredTask, TaskLedger
from ._service import TransferService
from ._wait import Patience, TaskEnd, wait_for_task

__all__ = ["TaskRunner", "transfer_item"]

_LEAST_WAIT_S = 5.0
_UNSENT_S = 600.0

_log = logging.getLogger(__name__)


def transfer_item(source: str, destination: str, checksum: str | None, algorithm: str) -> dict[str, Any]:
    """One file of a transfer; both ends compute the checksum, and compare it with ours if it is given."""
    item = {
        "DATA_TYPE": "transfer_item",
        "source_path": source,
        "destination_path": destination,
        "checksum_algorithm": algorithm.upper(),
    }
    return item if checksum is None else {**item, "external_checksum": checksum}


class TaskRunner:
    """Runs tasks for one far end.

    Args:
        settings: completed by `GlobusSettings.within`.
    """

    def __init__(
        self,
        service: TransferService,
        ledger: TaskLedger,
        settings: GlobusSettings,
        far_end: GlobusAddress,
        patience: Patience,
    ) -> None:
        self.service = service
        self.ledger = ledger
        self._settings = settings
        self._far_end = far_end
        self._patience = patience

    def transfer(
        self,
        purpose: Purpose,
        ends: tuple[str, str],
        items: list[dict[str, Any]],
        files: Sequence[StoredFile] = (),
    ) -> tuple[StoredTask, str]:
        """Write a transfer down and submit it; what was written, and the task's id.

        Args:
            ends: source and destination collection.

        Raises:
            FarEndError: Globus refuses or does not answer, or too many tasks are under way for too long.
        """
        document = {
            "DATA_TYPE": "transfer",
            "source_endpoint": ends[0],
            "destination_endpoint": ends[1],
            "label": f"eucentric {purpose} {len(items)} files",
            "verify_checksum": True,
            "encrypt_data": self._settings.encrypt,
            "fail_on_quota_errors": True,
            "skip_source_errors": False,
            "DATA": items,
        }
        return self._begin(purpose, document, files)

    def delete(self, path: str) -> TaskEnd:
        """Delete one file of the far end, and wait until that is done."""
        document = {
            "DATA_TYPE": "delete",
            "endpoint": self._far_end.collection,
            "label": "eucentric delete",
            "recursive": False,
            "ignore_missing": True,
            "DATA": [{"DATA_TYPE": "delete_item", "path": path}],
        }
        stored, task_id = self._begin("delete", document, ())
        return self.finish(stored, task_id)

    def _begin(
        self, purpose: Purpose, document: dict[str, Any], files: Sequence[StoredFile]
    ) -> tuple[StoredTask, str]:
        submission_id = self.service.submission_id()
        now = time.time()
        last = datetime.fromtimestamp(now + self._settings.deadline_s, UTC).isoformat(timespec="seconds")
        quiet = dict.fromkeys(("notify_on_succeeded", "notify_on_failed", "notify_on_inactive"), False)
        document = {**document, **quiet, "submission_id": submission_id, "deadline": last}
        stored = StoredTask(
            submission_id, purpose, str(self._far_end), document, tuple(files), now, self._settings.deadline_s
        )
        reached(f"globus {purpose}: number fetched, not written down")
        self._wait_for_a_place(stored)
        reached(f"globus {purpose}: written down, not submitted")
        return stored, self.submit(stored)

    def _wait_for_a_place(self, stored: StoredTask) -> None:
        sleep = self._patience.waits()
        while not self.ledger.store(stored, max_active=self._settings.max_active_tasks):
            self._patience.require_running("waiting for other Globus tasks of this machine")
            if time.time() > stored.created_s + stored.deadline_s:
                raise FarEndError(
                    "Other Globus tasks of this machine took all the time there was.",
                    safe="the source is kept; nothing was submitted.",
                    next_step="see `eucentric globus show`; raise `globus.deadline_s` or batch more.",
                    reason="queue",
                )
            self._look_after_others()
            sleep()

    def _look_after_others(self) -> None:
        """Tasks whose process was killed have ended some time, and count no longer then."""
        for task in self.ledger.active():
            if task.task_id is None:
                if time.time() - task.created_s > _UNSENT_S:
                    self.ledger.ended(task.submission_id)
                continue
            report = self.service.task(task.task_id)
            if report.succeeded or report.failed:
                self.ledger.ended(task.submission_id)

    def submit(self, stored: StoredTask) -> str:
        """Submit what was written down, again if need be; the task's id.

        Raises:
            FarEndError: Globus does not answer; the task stays written down, it may have arrived.
            TransferFailedError: Globus refuses it; it is forgotten.
        """
        if stored.task_id is not None:
            return stored.task_id
        try:
            task_id = self.service.submit(stored.kind, stored.document)
        except FarEndError as error:
            refused = error.details.get("reason") in ("consent", "permission", "collection")
            if refused or stored.purpose != "put":
                self.ledger.forget(stored.submission_id)
            else:
                # It may have arrived, or not; it takes nobody's place until somebody knows.
                self.ledger.ended(stored.submission_id)
            raise
        except EucentricError:
            self.ledger.forget(stored.submission_id)
            raise
        reached(f"globus {stored.purpose}: submitted, its id not noted")
        self.ledger.accepted(stored.submission_id, task_id)
        reached(f"globus {stored.purpose}: id noted, not waited for")
        _log.info("submitted Globus task %s: %s", task_id, stored.document["label"])
        return task_id

    def wait(self, stored: StoredTask, task_id: str) -> TaskEnd:
        """Wait for a task; it stays written down.

        Raises:
            FarEndError: cancelled at its deadline (and forgotten), suspended, or stopped on this side.
        """
        left_s = stored.created_s + stored.deadline_s - time.time()
        try:
            ended = wait_for_task(
                self.service, task_id, deadline_s=max(left_s, _LEAST_WAIT_S), patience=self._patience
            )
        except FarEndError as error:
            if error.details.get("globus_code") == "EXPIRED":
                self.ledger.forget(stored.submission_id)
            elif error.details.get("reason") != "stopped":
                # It goes on or not; it takes nobody's place until somebody asks for its files again.
                self.ledger.ended(stored.submission_id)
            raise
        except TransferFailedError:
            self.ledger.forget(stored.submission_id)
            raise
        reached(f"globus {stored.purpose}: ended, not noted")
        self.ledger.ended(stored.submission_id)
        return ended

    def finish(self, stored: StoredTask, task_id: str) -> TaskEnd:
        """Wait for a task that nobody goes on with after a crash, and settle it."""
        try:
            return self.wait(stored, task_id)
        except FarEndError:
            with contextlib.suppress(EucentricError):
                self.service.cancel(task_id)
            raise
        finally:
            self.ledger.forget(stored.submission_id)
