"""How a person at the control PC proves to be there: a token in a file that only this user can read."""

from __future__ import annotations

import json
from pathlib import Path

from ._errors import ConfigurationError

__all__ = ["console_path", "read_console"]


def console_path(home: Path) -> Path:
    """Where an agent with this home writes port and token of its local console."""
    return home / "run" / "agent-console.json"


def read_console(home: Path) -> tuple[int, str]:
    """Port and token of the local console of the agent that runs with this home.

    Raises:
        ConfigurationError: none runs, or this user may not read its token.
    """
    path = console_path(home)
    try:
        console = json.loads(path.read_text(encoding="utf-8"))
        return int(console["port"]), str(console["token"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"The local console of an agent cannot be used: {path} cannot be read.",
            safe="nothing was sent.",
            next_step="run this on the control PC while the agent runs, as a user who may read its home.",
        ) from error
