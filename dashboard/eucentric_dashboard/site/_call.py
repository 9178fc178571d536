"""The one way from a page to what may block: a thread with a time limit, and a typed error in words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from nicegui import ui

from eucentric_core import EucentricError, ServiceUnavailableError

from ._panels import fill_error

__all__ = ["call", "errors_shown"]

_T = TypeVar("_T")

_THREADS = ThreadPoolExecutor(max_workers=16, thread_name_prefix="page-call")
"""Bounded, and apart from the event loop's own: a service that hangs costs pages, not the live view."""


async def call(work: Callable[[], _T], *, timeout_s: float = 15.0, doing: str = "This") -> _T:
    """Run `work` on a thread and wait for it.

    Args:
        work: may block; raises `EucentricError` for what it cannot do.
        timeout_s: how long the page waits. The thread is not interrupted: give `work` a time-out as well.
        doing: what is being done, as the beginning of a sentence, for the error.

    Raises:
        ServiceUnavailableError: no answer in time.
        EucentricError: as raised by `work`.
    """
    running = asyncio.get_running_loop().run_in_executor(_THREADS, work)
    try:
        return await asyncio.wait_for(running, timeout_s)
    except TimeoutError as error:
        raise ServiceUnavailableError(
            f"{doing} was not answered within {timeout_s:g} s.",
            safe="whether it was done is not known; nothing else was changed.",
            next_step="look again before you repeat it.",
        ) from error


@contextmanager
def errors_shown(place: ui.element | None = None) -> Iterator[None]:
    """Show an `EucentricError` of the body as what happened, what is safe and what to do next.

    Args:
        place: is cleared and gets the panel; without one, the error lies over the page until it is closed.
    """
    try:
        yield
    except EucentricError as error:
        if place is not None:
            place.clear()
            with place:
                fill_error(error)
            return
        ui.notify(
            f"{error.what}\nSafe: {error.safe}\nNext: {error.next_step}",
            type="negative",
            multi_line=True,
            close_button="Close",
            timeout=0,
            classes="told",
            position="top",
        )
