"""Another project's server on this machine: how to start it, and whether it answers."""

from __future__ import annotations

import http.client
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

from ._errors import ConfigurationError

__all__ = ["LocalServer", "answers_ok", "local_address"]

_HEALTH_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class LocalServer:
    """What to start, with what environment on top of one's own, and where it will answer.

    Args:
        name: what to call it in messages and log files.
        command: program and arguments; never a shell line.
        environment: variables on top of this process's own.
        url: where it listens, and the address of its web page.
        health_path: path below `url` that answers 200 once the server works.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    url: str
    health_path: str

    def is_healthy(self) -> bool:
        """Whether the server answers at present."""
        return answers_ok(f"{self.url}{self.health_path}")

    def replace_this_process(self) -> NoReturn:
        """Become the server: same process id, so that signals and supervisors reach it directly."""
        os.execve(self.command[0], self.command, {**os.environ, **self.environment})  # noqa: S606


def answers_ok(url: str) -> bool:
    """Whether a GET of this http or https address is answered with 200 within 2 s."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_HEALTH_TIMEOUT_S)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def local_address(url: str, *, setting: str, example: str) -> tuple[str, int]:
    """Host and port at which a server of this machine shall listen to answer at `url`.

    Raises:
        ConfigurationError: the address is not plain http, or names no port.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None or parts.port is None:
        raise ConfigurationError(
            f"{setting} {url!r} names no local port to listen on.",
            safe="nothing was started.",
            next_step=f"give it as {example}.",
        )
    return parts.hostname, parts.port
