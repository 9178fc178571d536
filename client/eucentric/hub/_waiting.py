"""Waiting, before a service starts, for the servers that it asks first; for systemd and containers."""

from __future__ import annotations

import time
from collections.abc import Callable

from eucentric_core import ServiceUnavailableError, Settings

from ._folder import HubFolder
from ._needs import NEEDS
from ._services import is_ready

__all__ = ["wait_for_needed"]

_PATIENCE_S = 300.0
_POLL_S = 0.3
_SERVERS = ("postgres", "prefect", "mlflow")
"""They answer over the network, also to other containers. Ours are waited for by nobody: they queue."""


def wait_for_needed(
    service: str,
    settings: Settings,
    folder: HubFolder,
    *,
    answers: Callable[[str, Settings, HubFolder], bool] = is_ready,
    patience_s: float = _PATIENCE_S,
) -> None:
    """Return once every server that a service asks at its start answers.

    systemd starts what comes after a server as soon as that has begun, not when it answers: Prefect needs a
    minute the first time. A service that gave up every few seconds would use up its restarts meanwhile.

    Raises:
        ServiceUnavailableError: one of them did not answer in time.
    """
    needed = [one for one in NEEDS[service] if one in _SERVERS and one in settings.hub.server.services]
    deadline = time.monotonic() + patience_s
    while silent := [one for one in needed if not answers(one, settings, folder)]:
        if time.monotonic() > deadline:
            raise ServiceUnavailableError(
                f"{service} waited {patience_s:g} s for {', '.join(silent)}.",
                safe="it was not started.",
                next_step=f"see `eucentric hub status`, and what {silent[0]} logged.",
            )
        time.sleep(_POLL_S)
