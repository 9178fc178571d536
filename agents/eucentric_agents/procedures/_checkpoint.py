"""What a procedure has finished, on disk: one small file per step and the frames beside it.

A folder holds `procedure.json` (what the procedure is) and, per finished step, `NNNN.json` (its facts, and
the header and SHA-256 of each of its frames) and `NNNN.<name>.npy` (the arrays). The frames are written
first, every file atomically, so that a step is finished if and only if its `NNNN.json` exists.
"""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from pydantic import JsonValue, ValidationError

from eucentric_core import (
    Frame,
    FrameHeader,
    FrozenModel,
    Sha256,
    open_database,
    sha256_file,
    write_atomic,
)

from ._errors import CheckpointError

__all__ = ["Checkpoint", "StepRecord"]

_LOCK_TIMEOUT_S = 0.5


class _ProcedureFile(FrozenModel):
    schema_version: Literal[1] = 1
    procedure: str
    instrument: str
    parameters: dict[str, JsonValue]


class _StoredFrame(FrozenModel):
    header: FrameHeader
    file: str
    sha256: Sha256


class _StepFile(FrozenModel):
    schema_version: Literal[1] = 1
    name: str
    facts: dict[str, JsonValue]
    frames: dict[str, _StoredFrame]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What a finished step left: plain facts, and frames by name."""

    facts: Mapping[str, JsonValue] = field(default_factory=dict)
    frames: Mapping[str, Frame] = field(default_factory=dict)


class Checkpoint:
    """The folder of one procedure's run; held by one process at a time.

    Args:
        folder: made if missing.
        procedure: its name.
        instrument: on which it runs.
        parameters: what it was told; a resumed procedure must have been told the same.

    Raises:
        CheckpointError: the folder belongs to another procedure or another process uses it.
    """

    def __init__(
        self, folder: Path, *, procedure: str, instrument: str, parameters: Mapping[str, JsonValue]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        try:
            # An operating system's lock: gone with the process, however it ends.
            self._lock = open_database(
                folder / "lock.sqlite", "", busy_timeout_s=_LOCK_TIMEOUT_S, exclusive=True
            )
        except sqlite3.OperationalError as error:
            raise CheckpointError(
                f"Another run uses the checkpoint {folder.name!r} ({error}).",
                safe="nothing was exposed; that run goes on.",
                next_step="wait until it ends, or choose another folder.",
            ) from error
        try:
            self._agree(
                _ProcedureFile(procedure=procedure, instrument=instrument, parameters=dict(parameters))
            )
        except BaseException:
            self._lock.close()
            raise

    def load(self, index: int, name: str) -> StepRecord | None:
        """What step `index` left, or None if it is not finished. Arrays are mapped, not read into memory.

        Raises:
            CheckpointError: the step is another one than `name`, or a file is damaged or missing.
        """
        path = self._folder / f"{index:04d}.json"
        if not path.exists():
            return None
        try:
            step = _StepFile.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise self._damaged(path) from error
        if step.name != name:
            raise CheckpointError(
                f"Step {index} of the checkpoint is {step.name!r}, the procedure's is {name!r}.",
                safe="nothing was exposed for this step.",
                next_step="choose another checkpoint folder for this procedure.",
            )
        return StepRecord(step.facts, {key: self._frame(stored) for key, stored in step.frames.items()})

    def store(self, index: int, name: str, record: StepRecord) -> StepRecord:
        """Make a finished step durable; returns the same record with its arrays mapped from disk.

        Raises:
            ValueError: a frame's name is no identifier, and it becomes part of a file's name.
            OutOfSpaceError: the disk is full; the step is not finished.
        """
        stored: dict[str, _StoredFrame] = {}
        for key, frame in record.frames.items():
            if not key.isidentifier():
                raise ValueError(f"{key!r} is no name for a frame: letters, digits and underscores only")
            path = self._folder / f"{index:04d}.{key}.npy"
            content = io.BytesIO()
            np.save(content, frame.array, allow_pickle=False)
            write_atomic(path, content.getvalue())
            stored[key] = _StoredFrame(header=frame.header, file=path.name, sha256=sha256_file(path))
        step = _StepFile(name=name, facts=dict(record.facts), frames=stored)
        write_atomic(self._folder / f"{index:04d}.json", step.model_dump_json(indent=1).encode())
        return StepRecord(record.facts, {key: self._frame(file) for key, file in stored.items()})

    def close(self) -> None:
        """Let other processes use the folder."""
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _agree(self, wanted: _ProcedureFile) -> None:
        path = self._folder / "procedure.json"
        if not path.exists():
            write_atomic(path, wanted.model_dump_json(indent=1).encode())
            return
        try:
            found = _ProcedureFile.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise self._damaged(path) from error
        # Through JSON, as what was read came through it: tuples are lists there.
        if found != _ProcedureFile.model_validate_json(wanted.model_dump_json()):
            if not any(file != path for file in self._folder.glob("*.json")):
                # Refused, or ended, before anything was done: nothing here belongs to the old parameters.
                write_atomic(path, wanted.model_dump_json(indent=1).encode())
                return
            differing = [
                key
                for key in sorted({*found.parameters, *wanted.parameters})
                if json.dumps(found.parameters.get(key)) != json.dumps(wanted.parameters.get(key))
            ]
            raise CheckpointError(
                f"The checkpoint {self._folder.name!r} is of {found.procedure!r} on {found.instrument!r}"
                f"{', with another ' + ', '.join(differing) if differing else ''}.",
                safe="nothing was exposed; the checkpoint is unchanged.",
                next_step="choose another folder, or the parameters it was begun with.",
            )

    def _frame(self, stored: _StoredFrame) -> Frame:
        path = self._folder / stored.file
        if not path.exists() or sha256_file(path) != stored.sha256:
            raise self._damaged(path)
        return Frame(stored.header, np.load(path, mmap_mode="r", allow_pickle=False))

    def _damaged(self, path: Path) -> CheckpointError:
        return CheckpointError(
            f"{path.name} in the checkpoint {self._folder.name!r} is missing or damaged.",
            safe="nothing was exposed; no other file was touched.",
            next_step="remove the JSON file of that step to take the step again.",
        )
