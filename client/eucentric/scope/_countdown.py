"""How long the lease lasts, shown while it is held."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from eucentric_core import EucentricError, LeaseStatus, SteeringClient

from ..display import status_line

__all__ = ["Countdown", "line"]

_TICK_S = 1.0


class Countdown:
    """A line that counts down, in a notebook cell or on a terminal; nowhere else, and never in a log.

    Args:
        scope: the client that holds the lease.
    """

    def __init__(self, scope: SteeringClient) -> None:
        self._scope = scope
        self._display = status_line()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="countdown", daemon=True)

    def __enter__(self) -> Self:
        if self._display is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._display is not None:
            self._thread.join(timeout=5)
            lost = self._scope.lease_lost
            self._display.end("lease given back" if lost is None else f"LEASE LOST: {lost}")

    def _run(self) -> None:
        while True:
            if self._display is not None:
                self._display.show(line(self._scope))
            if self._done.wait(_TICK_S):
                return


def line(scope: SteeringClient) -> str:
    """What the countdown says at present."""
    if scope.lease_lost is not None:
        return f"LEASE LOST: {scope.lease_lost.what}"
    remaining_s = scope.lease_remaining_s
    if remaining_s is None:
        return "no lease"
    text = f"you steer {scope.capabilities.instrument}; the lease lasts {remaining_s:.0f} s without the link"
    try:
        status = scope.lease()
    except EucentricError as error:
        return f"{text}; {error.what}"
    return text + _wishes(status)


def _wishes(status: LeaseStatus) -> str:
    text = "".join(f"; {name} asks for it" for name in status.wanted_by)
    return text + (f"; offered to {status.offered_to}" if status.offered_to else "")
