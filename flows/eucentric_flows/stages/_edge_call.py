"""Asking this site's edge for something that it may be too busy for, or out of reach of, at first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from eucentric_core import BusyError, Settings, TransportError, channel_credentials
from eucentric_core.transport import PyroControlClient

__all__ = ["asking_edge"]

_KEEP_TRYING_S = 60.0


@contextmanager
def asking_edge(settings: Settings, *, timeout_s: float) -> Iterator[tuple[PyroControlClient, Retrying]]:
    """Yields the edge, and what repeats a call for a minute while the edge is busy or out of reach.

    Args:
        settings: say where the edge is.
        timeout_s: of one call.
    """
    edge = PyroControlClient(
        settings.edge.reachable_host,
        settings.edge.control_port,
        timeout_s=timeout_s,
        credentials=channel_credentials(settings, settings.edge),
    )
    attempts = Retrying(
        retry=retry_if_exception_type((BusyError, TransportError)),
        wait=wait_random_exponential(0.5, max=5),
        stop=stop_after_delay(_KEEP_TRYING_S),
        reraise=True,
    )
    try:
        yield edge, attempts
    finally:
        edge.close()
