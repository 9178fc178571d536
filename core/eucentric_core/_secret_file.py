"""Secrets in files: read only where nobody but their owner can read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from ._errors import ConfigurationError

__all__ = ["Login", "read_login", "read_secret_file"]

_MAX_BYTES = 4096


class Login(NamedTuple):
    """Who one is at a server that asks for name and password."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login(user={self.user!r})"


def read_secret_file(path: Path, *, setting: str) -> str:
    """The only line of a file that its owner alone may read.

    Args:
        path: of the file.
        setting: what names it, for messages.

    Raises:
        ConfigurationError: it is missing, empty, no text, or open to other users. What is in it is not shown.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(_MAX_BYTES)
    except OSError as error:
        raise _unusable(
            f"The secret file {path} cannot be read: {error.strerror or error}.", f"correct {setting}."
        ) from error
    # Windows keeps access in lists of its own; the mode says nothing about them.
    if os.name != "nt" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _unusable(f"The secret file {path} is open to other users.", f"run `chmod 600 {path}`.")
    try:
        text = content.decode().strip("\r\n")
    except UnicodeDecodeError:
        # Without its cause: that would show the content.
        raise _unusable(f"The secret file {path} is not UTF-8 text.", f"correct {setting}.") from None
    if not text or "\n" in text:
        raise _unusable(f"The secret file {path} does not hold one line.", f"correct {setting}.")
    return text


def read_login(path: Path, *, setting: str) -> Login:
    """Name and password from a file of `name:password`; arguments and errors as `read_secret_file`."""
    user, colon, password = read_secret_file(path, setting=setting).partition(":")
    if not (user and colon and password):
        raise _unusable(f"The secret file {path} does not hold name:password.", f"correct {setting}.")
    return Login(user, password)


def _unusable(what: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(what, safe="no connection was opened.", next_step=next_step)
