"""What this room asks of Globus Transfer, call by call, with readable failures."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Literal

from globus_sdk import GlobusAPIError

from ._account import GlobusAccount
from ._failures import is_missing, readable_failures

__all__ = ["RemoteEntry", "TaskKind", "TaskReport", "TransferService"]

TaskKind = Literal["transfer", "delete"]

_MAX_ENTRIES = 100_000
_MAX_EVENTS = 20
_MAX_EVENT_TEXT = 500


@dataclass(frozen=True, slots=True)
class RemoteEntry:
    """Something in a folder of a collection."""

    name: str
    is_file: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class TaskReport:
    """How far a task is. `code` and `description` are of its fatal error, or of what holds it up."""

    status: str
    code: str
    description: str
    paused: bool
    faults: int
    bytes_moved: int

    @property
    def succeeded(self) -> bool:
        """Whether the service says so; the mover looks for itself."""
        return self.status == "SUCCEEDED"

    @property
    def failed(self) -> bool:
        """Failed, expired or cancelled."""
        return self.status == "FAILED"

    @property
    def suspended(self) -> bool:
        """It will not go on by itself: its credentials are no longer valid."""
        return self.status == "INACTIVE"


class TransferService:
    """One account's calls. Any thread may make them; they are made one after the other."""

    def __init__(self, account: GlobusAccount) -> None:
        self._account = account
        self._client = account.transfer

    def submission_id(self) -> str:
        """A number under which one task may be submitted, however often it is sent."""
        with self._account.lock, readable_failures("asking for a submission id"):
            return str(self._client.get_submission_id()["value"])

    def submit(self, kind: TaskKind, document: dict[str, Any]) -> str:
        """Hand a task in; its id. The same submission id is the same task, submitted again or not."""
        with self._account.lock, readable_failures(f"submitting a {kind}"):
            submit = self._client.submit_transfer if kind == "transfer" else self._client.submit_delete
            return str(submit(document)["task_id"])

    def task(self, task_id: str) -> TaskReport:
        """How far a task is."""
        with self._account.lock, readable_failures(f"asking for task {task_id}"):
            found = self._client.get_task(task_id).data
        fatal = found.get("fatal_error") or {}
        return TaskReport(
            status=str(found["status"]),
            code=str(fatal.get("code") or found.get("nice_status") or "OK"),
            description=str(fatal.get("description") or found.get("nice_status_short_description") or ""),
            paused=bool(found.get("is_paused")),
            faults=int(found.get("faults") or 0),
            bytes_moved=int(found.get("bytes_transferred") or 0),
        )

    def events(self, task_id: str, *, limit: int = _MAX_EVENTS) -> list[dict[str, Any]]:
        """What the service noted about a task, newest first, cut to a bearable length."""
        with self._account.lock, readable_failures(f"asking for the events of task {task_id}"):
            found = self._client.task_event_list(task_id, limit=limit)
            return [
                {
                    "time": str(event.get("time")),
                    "code": str(event.get("code")),
                    "is_error": bool(event.get("is_error")),
                    "text": str(event.get("details") or event.get("description"))[:_MAX_EVENT_TEXT],
                }
                for event in itertools.islice(found, limit)
            ]

    def cancel(self, task_id: str) -> str:
        """Stop a task; the service's answer, `Canceled` or `TaskComplete`."""
        with self._account.lock, readable_failures(f"cancelling task {task_id}"):
            return str(self._client.cancel_task(task_id)["code"])

    def arrived(self, task_id: str, *, limit: int) -> frozenset[str]:
        """Paths at the destination that an ended task says it wrote."""
        with self._account.lock, readable_failures(f"asking what task {task_id} moved"):
            pages = self._client.paginated.task_successful_transfers(task_id)
            rows = itertools.islice(pages.items(), limit)
            return frozenset(str(row["destination_path"]) for row in rows)

    def stat(self, collection: str, path: str) -> RemoteEntry | None:
        """A file or folder, None if it is not there."""
        with self._account.lock, readable_failures(f"looking at {path}"):
            try:
                return _entry(self._client.operation_stat(collection, path).data)
            except GlobusAPIError as error:
                if is_missing(error):
                    return None
                raise

    def ls(self, collection: str, path: str) -> tuple[RemoteEntry, ...]:
        """What lies in a folder, hidden files included; nothing if there is no such folder."""
        entries: list[RemoteEntry] = []
        with self._account.lock, readable_failures(f"listing {path}"):
            try:
                while True:
                    page = self._client.operation_ls(
                        collection, path, show_hidden=True, limit=_MAX_ENTRIES, offset=len(entries)
                    )
                    found = [_entry(row) for row in page]
                    entries += found
                    if len(found) < _MAX_ENTRIES:
                        return tuple(entries)
            except GlobusAPIError as error:
                if is_missing(error) or str(error.code).endswith("NotDirectory"):
                    return ()
                raise

    def mkdir(self, collection: str, path: str) -> bool:
        """Make a folder, which may be there already. False if the folder above it is missing."""
        with self._account.lock, readable_failures(f"making the folder {path}"):
            try:
                self._client.operation_mkdir(collection, path)
            except GlobusAPIError as error:
                if "Exists" in str(error.code):
                    return True
                if is_missing(error):
                    return False
                raise
            return True

    def rename(self, collection: str, old: str, new: str) -> Literal["renamed", "missing", "exists"]:
        """Rename a file; `missing` if the old name is not there, `exists` if the new one is in the way."""
        with self._account.lock, readable_failures(f"renaming to {new}"):
            try:
                self._client.operation_rename(collection, old, new)
            except GlobusAPIError as error:
                if "Exists" in str(error.code):
                    return "exists"
                if is_missing(error):
                    return "missing"
                raise
            return "renamed"

    def name_of(self, collection: str) -> str:
        """What a collection is called, for people."""
        with self._account.lock, readable_failures(f"looking at collection {collection}"):
            found = self._client.get_endpoint(collection).data
            return f"{found.get('display_name') or '-'} ({found.get('entity_type') or 'unknown kind'})"

    def active_tasks(self, *, limit: int = 50) -> tuple[tuple[str, str, str], ...]:
        """Tasks of this identity that have not ended: id, state, label."""
        with self._account.lock, readable_failures("listing tasks"):
            found = self._client.task_list(limit=limit, filter={"status": ["ACTIVE", "INACTIVE"]})
            return tuple(
                (
                    str(task["task_id"]),
                    str(task.get("nice_status") or task["status"]),
                    str(task.get("label") or ""),
                )
                for task in itertools.islice(found, limit)
            )


def _entry(row: Any) -> RemoteEntry:
    return RemoteEntry(str(row["name"]), row["type"] == "file", int(row.get("size") or 0))
