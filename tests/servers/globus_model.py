"""What the emulated Globus knows: collections, tasks, and what is wrong with it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["ENDED", "Collection", "Faults", "Task", "as_text"]

ENDED = ("SUCCEEDED", "FAILED")
"""States of a task that stay."""


def as_text(moment: datetime) -> str:
    """A time as the service writes it."""
    return moment.isoformat(timespec="seconds")


@dataclass
class Collection:
    """A folder under a Globus id.

    Args:
        root: the folder.
        mapped: needs a `data_access` consent, as mapped collections of Globus Connect Server do.
        personal: is Globus Connect Personal, whose machine may be off.
        read_only: refuses to be written to.
        offline: its machine does not answer.
        space_bytes: what fits into it; None for no limit.
    """

    root: Path
    mapped: bool = False
    personal: bool = False
    read_only: bool = False
    offline: bool = False
    space_bytes: int | None = None


@dataclass
class Faults:
    """What is wrong with the service. Numbers count down, one for each task (or file, or request).

    Args:
        fail: code of the fatal error that the next tasks end with.
        fail_tasks: how many tasks do.
        lie_succeeded: tasks that say SUCCEEDED and move nothing.
        lie_last_file: tasks that say SUCCEEDED and leave their last file out.
        lie_size_bytes: added to every size that is listed.
        shorten: files that arrive one byte short, with nothing said.
        swap: files that arrive with another content of their length, with nothing said.
        rewrite: makes of a destination path and a content what lies there in the end, with nothing said.
        corrupt: files that arrive changed the first time; verify_checksum finds it.
        seconds_per_chunk: how slow the network is.
        stall: tasks make no progress at all while this is set.
        ignore_deadlines: tasks go on after theirs.
        drop_reply: requests to submit that are carried out, and whose answer is lost.
        answers: (part of the path, status, headers) of the next requests that are not carried out.
    """

    fail: str = "INTERNAL_ERROR"
    fail_tasks: int = 0
    lie_succeeded: int = 0
    lie_last_file: int = 0
    lie_size_bytes: int = 0
    shorten: int = 0
    swap: int = 0
    rewrite: Callable[[str, bytes], bytes] | None = None
    corrupt: int = 0
    seconds_per_chunk: float = 0.0
    stall: bool = False
    ignore_deadlines: bool = False
    drop_reply: int = 0
    answers: list[tuple[str, int, Mapping[str, str]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def takes(self, name: str) -> bool:
        """Whether this fault strikes now; it is used up by that."""
        with self._lock:
            left: int = getattr(self, name)
            if left:
                setattr(self, name, left - 1)
            return left > 0

    def answer(self, path: str) -> tuple[int, Mapping[str, str]] | None:
        """What a request gets instead of an answer."""
        with self._lock:
            for index, (part, status, headers) in enumerate(self.answers):
                if part in path:
                    del self.answers[index]
                    return status, headers
        return None


@dataclass
class Task:
    """A task and its document."""

    kind: str
    owner: str
    order: dict[str, Any]
    deadline: datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "ACTIVE"
    nice_status: str = "Queued"
    requested: datetime = field(default_factory=lambda: datetime.now(UTC))
    completed: datetime | None = None
    fatal_error: dict[str, str] | None = None
    paused: bool = False
    cancelled: bool = False
    faults: int = 0
    bytes_moved: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)

    def event(self, code: str, details: str, *, is_error: bool = False) -> None:
        """Note something in the task's list of events, newest first."""
        self.faults += is_error
        self.events.insert(
            0,
            {
                "DATA_TYPE": "event",
                "code": code,
                "description": code.replace("_", " ").lower(),
                "details": details,
                "is_error": is_error,
                "time": as_text(datetime.now(UTC)),
            },
        )

    def document(self) -> dict[str, Any]:
        """The `task` document."""
        order = self.order
        source = order.get("source_endpoint", order.get("endpoint"))
        return {
            "DATA_TYPE": "task",
            "task_id": self.id,
            "type": self.kind.upper(),
            "status": self.status,
            "nice_status": None if self.status in ENDED else self.nice_status,
            "nice_status_short_description": None,
            "nice_status_details": None,
            "is_ok": None if self.status in ENDED else not self.events or not self.events[0]["is_error"],
            "is_paused": self.paused,
            "label": order.get("label"),
            "owner_id": self.owner,
            "request_time": as_text(self.requested),
            "completion_time": None if self.completed is None else as_text(self.completed),
            "deadline": as_text(self.deadline),
            "source_endpoint_id": source,
            "destination_endpoint_id": order.get("destination_endpoint"),
            "verify_checksum": order.get("verify_checksum", True),
            "files": len(order["DATA"]),
            "files_transferred": len(self.moved),
            "files_skipped": 0,
            "bytes_transferred": self.bytes_moved,
            "effective_bytes_per_second": 0,
            "faults": self.faults,
            "subtasks_total": len(order["DATA"]),
            "subtasks_succeeded": len(self.moved),
            "fatal_error": self.fatal_error,
            "history_deleted": False,
        }
