"""Batches to send to Globus, and waiting for what happens with them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

from eucentric_core import EucentricError
from eucentric_transfer import Outgoing, RemoteFile


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def batch(count: int, *, size_bytes: int = 100) -> list[Outgoing]:
    """Small documents that differ."""
    contents = [(b"%d." % number).ljust(size_bytes, b"x") for number in range(count)]
    return [Outgoing(content, f"incoming/{n:03}.h5", sha256(content)) for n, content in enumerate(contents)]


def all_arrived(answers: tuple[RemoteFile | EucentricError, ...]) -> bool:
    return all(isinstance(answer, RemoteFile) for answer in answers)


def wait_until(reached: Callable[[], object], *, timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not reached():
        assert time.monotonic() < end, "was never reached"
        time.sleep(0.005)


def item_of_nothing() -> dict[str, Any]:
    return {"source_path": "/base/nothing", "destination_path": "/base/nothing"}
