"""Signing anew, in time, that nothing newer was released: without it edges refuse to install."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from eucentric_core import EucentricError, Settings
from eucentric_model_registry import ReleaseBook

__all__ = ["renew", "renewing"]

EVERY_S = 6 * 3600.0
_JOIN_TIMEOUT_S = 5.0
_log = logging.getLogger(__name__)


def renew(settings: Settings) -> tuple[str, ...]:
    """Sign anew what runs out, as far as the keys of this machine go. What fails is logged.

    Returns:
        What a person has to do, in sentences; empty if nothing, or if this site has no releases.
    """
    try:
        book = ReleaseBook.of(settings)
        if book is None:
            return ()
        renewal = book.refresh()
    except EucentricError as error:
        _log.error("the releases were not signed anew: %s", error)
        return (error.what,)
    if renewal.renewed:
        _log.info("signed anew: %s", ", ".join(renewal.renewed))
    for warning in renewal.warnings:
        _log.warning("%s", warning)
    return renewal.warnings


@contextmanager
def renewing(settings: Settings, *, every_s: float = EVERY_S) -> Iterator[None]:
    """Renew beside whatever else is done inside the block, at its beginning and then every few hours."""
    stopping = threading.Event()

    def run() -> None:
        while not stopping.is_set():
            renew(settings)
            stopping.wait(every_s)

    thread = threading.Thread(target=run, name="release-renewal", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(timeout=_JOIN_TIMEOUT_S)
