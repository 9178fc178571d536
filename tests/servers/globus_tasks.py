"""The part of the emulated Globus that moves files: collections, tasks, and all that goes wrong with them.

The files are really copied, between folders that stand for the collections, in place under their final names
as the service's servers do: whoever looks meanwhile sees half a file.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .globus_auth import TRANSFER_SCOPE, Auth, Refusal, Token
from .globus_model import ENDED, Collection, Faults, Task, as_text

WORKED_ON_AT_ONCE = 3
"""Tasks of one user that the service works on at a time (docs.globus.org/api/transfer/task_behavior)."""

_CHUNK_BYTES = 1 << 18
_RETRY_S = 0.05


class _TaskError(Exception):
    """A task cannot go on; its code is one of the service's event codes."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


class Tasks:
    """Globus Transfer: what it was asked to do, and threads that do it."""

    def __init__(self, auth: Auth, collections: Mapping[str, Collection]) -> None:
        self.auth = auth
        self.collections = dict(collections)
        self.faults = Faults()
        self.tasks: dict[str, Task] = {}
        self.submissions: dict[str, str | None] = {}
        self.worked_on = 0
        self.most_worked_on = 0
        self.rename_replaces = False
        self.spells_home_out = False
        self._slots: dict[tuple[str, str], threading.Semaphore] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.RLock()
        self._stopping = threading.Event()

    def close(self) -> None:
        """End the threads."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def of_kind(self, kind: str) -> list[Task]:
        """The tasks of a kind, oldest first."""
        return [task for task in self.tasks.values() if task.kind == kind]

    def collection(self, name: str, token: Token) -> Collection:
        """A collection that this caller may use.

        Raises:
            Refusal: there is none, or the consent for its data is missing.
        """
        found = self.collections.get(name)
        if found is None:
            raise Refusal(404, "EndpointNotFound", f"No such endpoint '{name}'")
        if found.mapped:
            scope = f"https://auth.globus.org/scopes/{name}/data_access"
            if not self.auth.has_consent(token, TRANSFER_SCOPE, scope):
                raise Refusal(
                    403,
                    "ConsentRequired",
                    "Missing required data_access consent",
                    required_scopes=[f"{TRANSFER_SCOPE}[*{scope}]"],
                )
        return found

    def place(self, collection: Collection, path: str) -> Path:
        """Where a path of a collection lies in the real file system."""
        root = collection.root.resolve()
        found = Path(os.path.normpath(root / path.replace("/~/", "/", 1).lstrip("/")))
        if not found.resolve().is_relative_to(root):
            raise Refusal(403, "EndpointPermissionDenied", "Denied by endpoint: path not allowed")
        return found

    def submission_id(self) -> str:
        """A number for a task that may be submitted later, once."""
        identifier = str(uuid.uuid4())
        self.submissions[identifier] = None
        return identifier

    def submit(self, kind: str, order: dict[str, Any], token: Token) -> dict[str, Any]:
        """`POST /v0.10/transfer` or `/delete`: the same submission id is the same task."""
        with self._lock:
            identifier = order.get("submission_id")
            if identifier not in self.submissions:
                raise Refusal(400, "ClientError.BadRequest", "unknown or missing submission_id")
            known = self.submissions[identifier]
            if known is not None:
                return _accepted(kind, "Duplicate", known, identifier)
            if not order.get("DATA"):
                raise Refusal(
                    400,
                    f"ClientError.BadRequest.No{kind.title()}Items",
                    f"A {kind} requires at least one item",
                )
            for end in ("source_endpoint", "destination_endpoint", "endpoint"):
                if end in order:
                    self.collection(order[end], token)
            deadline = datetime.fromisoformat(order["deadline"]) if order.get("deadline") else None
            if deadline is not None and deadline < datetime.now(UTC):
                raise Refusal(400, "ClientError.BadRequest", "deadline is in the past")
            default = datetime.fromtimestamp(time.time() + 86400, UTC)
            task = Task(kind, token.identity, order, deadline or default)
            self.submissions[identifier] = task.id
            self.tasks[task.id] = task
            slots = self._slots.setdefault((token.identity, kind), threading.Semaphore(WORKED_ON_AT_ONCE))
            thread = threading.Thread(target=self._run, args=(task, slots), name=f"globus-{kind}")
            self._threads.append(thread)
            thread.start()
            return _accepted(kind, "Accepted", task.id, identifier)

    def cancel(self, task: Task) -> dict[str, Any]:
        """`POST /v0.10/task/ID/cancel`."""
        task.cancelled = True
        while task.status not in ENDED and not self._stopping.wait(0.005):
            pass
        was = task.fatal_error is not None and task.fatal_error["code"] == "CANCELED"
        code = "Canceled" if was else "TaskComplete"
        return {"DATA_TYPE": "result", "code": code, "message": code, "request_id": "r", "resource": ""}

    def suspend(self, task: Task, *, inactive: bool = False) -> None:
        """An administrator pauses a task, or its credentials expire."""
        if inactive:
            task.status = "INACTIVE"
            task.event("NO_CREDENTIALS", "credentials expired", is_error=True)
        else:
            task.paused = True
            task.nice_status = "PAUSED_BY_ADMIN"
            task.event("PAUSED", "paused by the endpoint's administrator")

    # What the threads do.

    def _run(self, task: Task, slots: threading.Semaphore) -> None:
        try:
            while not slots.acquire(timeout=0.02):
                self._check(task)
            try:
                self._working(+1)
                task.event("STARTED", "started")
                task.nice_status = "OK"
                self._fulfil(task)
            finally:
                self._working(-1)
                slots.release()
        except _TaskError as error:
            task.fatal_error = {"code": error.code, "description": str(error)}
            task.event(error.code, str(error), is_error=error.code not in ("CANCELED", "EXPIRED"))
            self._end(task, "FAILED")
        else:
            task.event("SUCCEEDED", "files transferred")
            self._end(task, "SUCCEEDED")

    def _working(self, change: int) -> None:
        with self._lock:
            self.worked_on += change
            self.most_worked_on = max(self.most_worked_on, self.worked_on)

    def _end(self, task: Task, status: str) -> None:
        task.completed = datetime.now(UTC)
        # Last: it is what everybody waits for.
        task.status = status

    def _check(self, task: Task) -> None:
        while True:
            if self._stopping.is_set():
                raise _TaskError("INTERNAL_ERROR", "the service is stopped")
            if task.cancelled:
                raise _TaskError("CANCELED", "the task was canceled")
            if datetime.now(UTC) > task.deadline and not self.faults.ignore_deadlines:
                raise _TaskError("EXPIRED", "the task did not finish before its deadline")
            if not (self.faults.stall or task.paused or task.status == "INACTIVE"):
                return
            self._stopping.wait(0.01)

    def _fulfil(self, task: Task) -> None:
        self._check(task)
        if self.faults.takes("fail_tasks"):
            raise _TaskError(self.faults.fail, f"the service failed with {self.faults.fail}")
        if self.faults.takes("lie_succeeded"):
            task.moved += [
                (item["source_path"], item["destination_path"])
                for item in task.order["DATA"]
                if task.kind == "transfer"
            ]
            return
        items = task.order["DATA"]
        if task.kind == "transfer" and self.faults.takes("lie_last_file"):
            items = items[:-1]
        for item in items:
            if task.kind == "delete":
                self._delete(task, item)
            else:
                self._transfer(task, item)

    def _reachable(self, task: Task, name: str) -> Collection:
        found = self.collections.get(name)
        if found is None:
            raise _TaskError("ENDPOINT_ERROR", f"no such endpoint '{name}'")
        while found.offline:
            if task.nice_status != "GC_NOT_CONNECTED":
                task.nice_status = "GC_NOT_CONNECTED"
                task.event("GC_NOT_CONNECTED", "the Globus Connect Personal is not running", is_error=True)
            self._check(task)
            self._stopping.wait(_RETRY_S)
        task.nice_status = "OK"
        return found

    def _delete(self, task: Task, item: dict[str, Any]) -> None:
        collection = self._reachable(task, task.order["endpoint"])
        if collection.read_only:
            raise _TaskError("PERMISSION_DENIED", f"{item['path']}: permission denied")
        try:
            self.place(collection, item["path"]).unlink()
        except FileNotFoundError as error:
            if not task.order.get("ignore_missing"):
                raise _TaskError("FILE_NOT_FOUND", f"{item['path']} not found") from error

    def _transfer(self, task: Task, item: dict[str, Any]) -> None:
        source_end = self._reachable(task, task.order["source_endpoint"])
        target_end = self._reachable(task, task.order["destination_endpoint"])
        source = self.place(source_end, item["source_path"])
        target = self.place(target_end, item["destination_path"])
        if not source.is_file():
            raise _TaskError("FILE_NOT_FOUND", f"{item['source_path']} not found")
        if not target.parent.is_dir():
            raise _TaskError("FILE_NOT_FOUND", f"the folder of {item['destination_path']} is not there")
        if target_end.read_only:
            raise _TaskError("PERMISSION_DENIED", f"{item['destination_path']}: permission denied")
        if target_end.space_bytes is not None and source.stat().st_size > target_end.space_bytes:
            code = "QUOTA_EXCEEDED" if task.order.get("fail_on_quota_errors") else "NO_SPACE_LEFT"
            raise _TaskError(code, f"no room for {item['destination_path']}")
        while True:
            self._copy(task, source, target)
            if not task.order.get("verify_checksum", True) or _same(source, target):
                break
            task.event("VERIFY_CHECKSUM", f"{item['destination_path']}: checksum mismatch", is_error=True)
            self._check(task)
        if item.get("external_checksum"):
            algorithm = item.get("checksum_algorithm", "MD5").lower()
            if _digest(target, algorithm) != item["external_checksum"]:
                raise _TaskError("EXTERNAL_CHECKSUM_MISMATCH", f"{item['source_path']} is not what was said")
        if self.faults.takes("shorten"):
            os.truncate(target, target.stat().st_size - 1)
        if self.faults.takes("swap"):
            target.write_bytes(bytes(target.stat().st_size))
        if self.faults.rewrite is not None:
            target.write_bytes(self.faults.rewrite(item["destination_path"], target.read_bytes()))
        home = "/home/anna/" if self.spells_home_out else "/~/"
        task.moved.append((item["source_path"], item["destination_path"].replace("/~/", home, 1)))

    def _copy(self, task: Task, source: Path, target: Path) -> None:
        with source.open("rb") as reader, target.open("wb") as writer:
            while chunk := reader.read(_CHUNK_BYTES):
                self._check(task)
                writer.write(chunk)
                task.bytes_moved += len(chunk)
                if self.faults.seconds_per_chunk:
                    writer.flush()
                    self._stopping.wait(self.faults.seconds_per_chunk)
        if self.faults.takes("corrupt"):
            with target.open("r+b") as writer:
                writer.write(b"\x00BAD")

    # File operations, which are answered at once.

    def operate(self, name: str, what: str, query: Mapping[str, str], body: Any, token: Token) -> Any:
        """`/v0.10/operation/endpoint/ID/...`."""
        collection = self.collection(name, token)
        if collection.offline:
            raise Refusal(
                502, "ExternalError.DirListingFailed.GCDisconnected", "Globus Connect is not running"
            )
        operations: dict[str, Callable[[], Any]] = {
            "ls": lambda: self._ls(collection, name, query),
            "stat": lambda: self._stat(self.place(collection, query["path"]), query["path"]),
            "mkdir": lambda: self._mkdir(collection, body["path"]),
            "rename": lambda: self._rename(collection, body),
        }
        return operations[what]()

    def _stat(self, place: Path, path: str) -> dict[str, Any]:
        if not place.exists():
            raise Refusal(404, "NotFound", f"Path not found, Error (list): '{path}' not found")
        status = place.stat()
        kind = "dir" if place.is_dir() else "file"
        return {
            "DATA_TYPE": "file",
            "name": place.name,
            "type": kind,
            "size": status.st_size + (self.faults.lie_size_bytes if kind == "file" else 0),
            "last_modified": as_text(datetime.fromtimestamp(status.st_mtime, UTC)),
            "permissions": f"{status.st_mode & 0o7777:04o}",
            "user": "emulated",
            "group": "emulated",
            **dict.fromkeys(("link_target", "link_size", "link_user", "link_group", "link_last_modified")),
        }

    def _ls(self, collection: Collection, name: str, query: Mapping[str, str]) -> dict[str, Any]:
        path = query.get("path", "/")
        place = self.place(collection, path)
        if not place.exists():
            raise Refusal(404, "ClientError.NotFound", f"Directory '{path}' not found on endpoint")
        if not place.is_dir():
            raise Refusal(502, "ExternalError.DirListingFailed.NotDirectory", f"{path} is not a directory")
        found = sorted(place.iterdir(), key=lambda entry: entry.name)
        if query.get("show_hidden") == "0":
            found = [entry for entry in found if not entry.name.startswith(".")]
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 100_000))
        page = [self._stat(entry, entry.name) for entry in found[offset : offset + limit]]
        return {
            "DATA_TYPE": "file_list",
            "DATA": page,
            "endpoint": name,
            "path": path,
            "length": len(page),
            "total": len(found),
        }

    def _mkdir(self, collection: Collection, path: str) -> dict[str, Any]:
        if collection.read_only:
            raise Refusal(403, "PermissionDenied", f"Permission denied: {path}")
        place = self.place(collection, path)
        try:
            place.mkdir()
        except FileExistsError as error:
            raise Refusal(502, "ExternalError.MkdirFailed.Exists", "Path already exists") from error
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Refusal(404, "ClientError.NotFound", "No such file or directory") from error
        return {"DATA_TYPE": "mkdir_result", "code": "DirectoryCreated", "message": "done", "request_id": "r"}

    def _rename(self, collection: Collection, body: Mapping[str, str]) -> dict[str, Any]:
        if collection.read_only:
            raise Refusal(403, "PermissionDenied", f"Permission denied: {body['new_path']}")
        old, new = self.place(collection, body["old_path"]), self.place(collection, body["new_path"])
        if not old.exists():
            raise Refusal(404, "ClientError.NotFound", "No such file or directory")
        if new.exists() and not self.rename_replaces:
            raise Refusal(502, "ExternalError.RenameFailed.Exists", "Path already exists")
        old.replace(new)
        return {"DATA_TYPE": "result", "code": "FileRenamed", "message": "done", "request_id": "r"}


def _accepted(kind: str, code: str, task: str, submission: str | None) -> dict[str, Any]:
    return {
        "DATA_TYPE": f"{kind}_result",
        "code": code,
        "message": f"The {kind} has been accepted and a task has been created and queued for execution",
        "request_id": uuid.uuid4().hex[:9],
        "resource": f"/v0.10/{kind}",
        "submission_id": submission,
        "task_id": task,
        "task_link": {"DATA_TYPE": "link", "href": f"/v0.10/task/{task}?format=json", "rel": "related"},
    }


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _same(one: Path, other: Path) -> bool:
    return _digest(one, "sha1") == _digest(other, "sha1")
