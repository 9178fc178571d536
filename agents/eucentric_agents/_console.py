"""How a person at the control PC proves to be there: a token in a file that only this user can read."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from eucentric_core import ConfigurationError

__all__ = ["ConsoleFile", "read_console"]


class ConsoleFile:
    """`<home>/run/agent-console.json`: port and token of the local console, mode 0600.

    Args:
        home: the agent's home folder.
    """

    def __init__(self, home: Path) -> None:
        self._path = self.path_in(home)
        self.token = secrets.token_urlsafe(32)

    @staticmethod
    def path_in(home: Path) -> Path:
        """Where the file is."""
        return home / "run" / "agent-console.json"

    def write(self, port: int) -> None:
        """Say where the local console is served; an older file is replaced."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".part")
        draft.unlink(missing_ok=True)
        # Private from its first byte on: a mode set afterwards would come too late.
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            json.dump({"port": port, "token": self.token}, stream)
        draft.replace(self._path)

    def remove(self) -> None:
        """The local console is served no more."""
        self._path.unlink(missing_ok=True)


def read_console(home: Path) -> tuple[int, str]:
    """Port and token of the local console of the agent that runs with this home.

    Raises:
        ConfigurationError: none runs, or this user may not read its token.
    """
    path = ConsoleFile.path_in(home)
    try:
        console = json.loads(path.read_text(encoding="utf-8"))
        return int(console["port"]), str(console["token"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"The local console of an agent cannot be used: {path} cannot be read.",
            safe="nothing was sent.",
            next_step="run this on the control PC while the agent runs, as a user who may read its home.",
        ) from error
