"""The names of sessions: data sets, shards and catalogue entries are called after them."""

from __future__ import annotations

import os
from pathlib import Path

from eucentric_core import CommandRefusedError

__all__ = ["SessionNames"]


class SessionNames:
    """The names of all sessions this agent has opened, on disk, one a line. Each is used once."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._used = set(path.read_text(encoding="utf-8").split()) if path.exists() else set()

    def take(self, name: str) -> None:
        """Use a name; durable when this returns.

        Raises:
            CommandRefusedError: it was used before.
        """
        if name in self._used:
            raise CommandRefusedError(
                f"There was a session {name!r} already.",
                safe="no session was opened; its data set is untouched.",
                next_step="choose another name.",
            )
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(f"{name}\n")
            stream.flush()
            os.fsync(stream.fileno())
        self._used.add(name)
