"""How a person at the control PC proves to be there: a token in a file that only this user can read."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from eucentric_core import ServiceUnavailableError, console_path, read_console

from ._home_lock import agent_runs

__all__ = ["ConsoleFile", "console_of_running_agent", "read_console"]


def console_of_running_agent(home: Path) -> tuple[int, str]:
    """Port and token, as `read_console`; the file of an agent that was killed does not count.

    Raises:
        ServiceUnavailableError: no agent runs with this home.
        ConfigurationError: this user may not read its token.
    """
    if not agent_runs(home):
        raise ServiceUnavailableError(
            f"The agent of {home} is not running.",
            safe="nothing was sent.",
            next_step="start it: `eucentric agent run`, with the same --config or --home.",
        )
    return read_console(home)


class ConsoleFile:
    """`<home>/run/agent-console.json`: port and token of the local console, mode 0600.

    Args:
        home: the agent's home folder.
    """

    def __init__(self, home: Path) -> None:
        self._path = console_path(home)
        self.token = secrets.token_urlsafe(32)

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
