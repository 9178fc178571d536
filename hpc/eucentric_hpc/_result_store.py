"""One result per task, whatever dies on the way: the first attempt that finishes is the one that counts.

A task may run twice: its worker is taken for lost, the task is tried again, and the worker was alive after
all. A result is recorded by a hard link, which only one attempt can make; every other attempt, and every
later call, gets what was recorded.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from eucentric_core import IntegrityError, fsync_directory, write_atomic

from ._stop_requests import TaskWatch, watched

__all__ = ["recorded_result", "run_once", "submit_once"]

Task = Callable[..., Mapping[str, Any]]
"""A top-level function of plain JSON arguments that returns a JSON object."""

_MAX_BYTES = 64 << 20


def submit_once(
    executor: Executor, folder: Path, name: str, task: Task, *args: Any
) -> Future[dict[str, Any]]:
    """Submit a task whose result is recorded in `folder`; answered at once where it already is.

    Args:
        executor: where it runs.
        folder: shared with the workers; made if need be.
        name: of the task, fit for a file.
        task: its result must depend on its arguments alone.
        args: plain JSON.

    Raises:
        IntegrityError: the recorded result is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recorded = recorded_result(folder, name, task, *args)
    if recorded is None:
        return executor.submit(run_once, str(folder), name, task, *args)
    answered: Future[dict[str, Any]] = Future()
    answered.set_result(recorded)
    return answered


def recorded_result(folder: Path, name: str, task: Task, *args: Any) -> dict[str, Any] | None:
    """The result that is recorded for these arguments, None where there is none yet.

    Raises:
        IntegrityError: it is damaged.
    """
    path = _path(folder, name, task, args)
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    try:
        held = json.loads(content)
        if not isinstance(held, dict):
            raise ValueError("it is no object")
    except ValueError as error:
        raise IntegrityError(
            f"The recorded result {path.name} is damaged: {error}.",
            safe="nothing was run and the file was not touched.",
            next_step=f"move {path} away to run the task again.",
        ) from error
    return held


def run_once(folder: str, name: str, task: Task, *args: Any) -> dict[str, Any]:
    """Run a task in a worker unless its result is recorded; record it, and return what is recorded.

    An attempt that finds a newer one beside it is told to stop by `stop_requests`.

    Raises:
        IntegrityError: the recorded result is damaged.
        Exception: whatever the task raises; nothing is recorded then.
    """
    home = Path(folder)
    if (recorded := recorded_result(home, name, task, *args)) is not None:
        return recorded
    path = _path(home, name, task, args)
    attempt, token = path.with_suffix(".attempt"), secrets.token_hex(16)
    write_atomic(attempt, token.encode(), durable=False)
    with watched(TaskWatch(attempt=attempt, token=token)):
        result = dict(task(*args))
    _record(path, json.dumps(result, allow_nan=True).encode())
    recorded = recorded_result(home, name, task, *args)
    return result if recorded is None else recorded


def _path(folder: Path, name: str, task: Task, args: tuple[Any, ...]) -> Path:
    identity = json.dumps([task.__module__, task.__qualname__, args], sort_keys=True).encode()
    return folder / f"{name}.{hashlib.sha256(identity).hexdigest()[:16]}.result.json"


def _record(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        fsync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
