"""The fencing epoch on disk: it only ever rises, across restarts too."""

from __future__ import annotations

import json
from pathlib import Path

from eucentric_core import DataFormatError, write_atomic

__all__ = ["EpochFile"]


class EpochFile:
    """Keeps the last epoch that was given.

    Raises:
        DataFormatError: the file is damaged; an epoch is never guessed.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._epoch = _read(path) if path.exists() else 0

    @property
    def last(self) -> int:
        """The last epoch given; 0 if none was."""
        return self._epoch

    def next(self) -> int:
        """Give the next epoch; it is durable when this returns.

        Raises:
            OutOfSpaceError: it could not be written, and was not given.
        """
        epoch = self._epoch + 1
        write_atomic(self._path, json.dumps({"epoch": epoch}).encode())
        self._epoch = epoch
        return epoch


def _read(path: Path) -> int:
    try:
        epoch = json.loads(path.read_text(encoding="utf-8"))["epoch"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error
    if type(epoch) is not int or epoch < 0:
        raise _damaged(path)
    return epoch


def _damaged(path: Path) -> DataFormatError:
    return DataFormatError(
        f"{path} does not hold a lease epoch.",
        safe="the agent did not start; no lease is valid.",
        next_step='write {"epoch": N} with N above the last epoch of audit.jsonl into it.',
    )
