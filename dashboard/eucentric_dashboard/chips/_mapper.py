"""The process that computes class maps for all pages: one, of low priority, started when first needed."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TypeVar

from nicegui import app

from eucentric_core import ServiceUnavailableError

from ._computation import MappedFrame, MapRequest, map_frame, warm_up
from ._errors import MappingError

__all__ = ["MAP_TIMEOUT_S", "Mapper", "missing_packages", "shared_mapper"]

_T = TypeVar("_T")

MAP_TIMEOUT_S = 60.0
_NEEDED = ("torch", "scipy", "skimage")
_NICENESS = 5
"""Below what serves frames and pages; a map may take a little longer, a Safe stop may not."""


_shared: Mapper | None = None


def shared_mapper() -> Mapper:
    """The one process for maps of this service; it ends with the service."""
    global _shared  # noqa: PLW0603  # one process, however many pages
    if _shared is None:
        _shared = Mapper()
        app.on_shutdown(_shared.close)
    return _shared


def missing_packages() -> tuple[str, ...]:
    """What the extra `few-shot` would bring and is not there."""
    return tuple(name for name in _NEEDED if importlib.util.find_spec(name) is None)


class Mapper:
    """Computes class maps. Any thread may use it; one map is computed at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def warm_up(self) -> str:
        """Start the process and open the encoder; its version.

        Raises:
            MappingError: few-shot models are not installed here, or the process was lost.
            ServiceUnavailableError: it took too long.
        """
        return self._run(warm_up)

    def map_frame(self, request: MapRequest) -> MappedFrame:
        """See `_computation.map_frame`.

        Raises:
            MappingError: few-shot models are not installed here, or the process was lost.
            ModelsError: the image cannot be cut, or the support set cannot be used.
            ServiceUnavailableError: it took too long.
        """
        return self._run(partial(map_frame, request))

    def close(self) -> None:
        """End the process."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, work: Callable[[], _T]) -> _T:
        if missing := missing_packages():
            raise MappingError(
                f"No class map can be computed here: {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not installed on this hub.",
                safe="what was labelled stays on the page.",
                next_step="install 'eucentric[few-shot]' on the hub and start the dashboard again.",
            )
        try:
            asked = self._process().submit(work)
            return asked.result(MAP_TIMEOUT_S)
        except BrokenProcessPool as error:
            self._forget()
            raise MappingError(
                "The process that computes class maps was lost.",
                safe="what was labelled stays on the page.",
                next_step="try again: a new one is started. If it is lost again, the image may be too large.",
            ) from error
        except TimeoutError as error:
            asked.cancel()
            raise ServiceUnavailableError(
                f"A class map took longer than {MAP_TIMEOUT_S:g} s.",
                safe="what was labelled stays on the page.",
                next_step="choose larger chips, or try again when this machine has less to do.",
            ) from error

    def _process(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                # Not forked: this process has threads.
                self._pool = ProcessPoolExecutor(
                    1, mp_context=multiprocessing.get_context("spawn"), initializer=_settle
                )
            return self._pool

    def _forget(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)


def _settle() -> None:
    """Give way to what serves frames and pages."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    import torch

    torch.set_num_threads(1)
