"""Has the edges of a site look for releases at once, and notes in the catalogue what they serve."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from pydantic import JsonValue

from eucentric_core import EucentricError, Settings

from ._deployments import Deployments
from ._site_edges import EdgeAddress, calling, edges_of

__all__ = ["Courier"]

_AFTER_S = (0.0, 1.0, 3.0, 10.0)
"""The alias moves before the release is signed: a hint is followed by several looks, until one finds it."""

_CALL_TIMEOUT_S = 60.0
_EVERY_S = 60.0
_LEAST_PAUSE_S = 1.0
_MAX_AT_A_TIME = 8

_log = logging.getLogger(__name__)

_Answer = Mapping[str, JsonValue]


class Courier:
    """Runs beside the flow service. A hint says only that it is worth looking; what is new, releases say.

    Hints that come while edges look are one hint, and rounds are at least a second apart, so that whoever
    sends hints cannot keep an edge busy.

    Args:
        settings: name the edges.
        deployments: where it is noted what serves; None: nowhere.
        every_s: how often it is noted without a hint.
        after_s: when edges look, counted from the hint.
    """

    def __init__(
        self,
        settings: Settings,
        deployments: Deployments | None,
        *,
        every_s: float = _EVERY_S,
        after_s: tuple[float, ...] = _AFTER_S,
    ) -> None:
        self._settings = settings
        self._deployments = deployments
        self._every_s = every_s
        self._after_s = after_s
        self._changed = threading.Condition()
        self._hinted_s: float | None = None
        self._stopping = threading.Event()
        self._noted: dict[EdgeAddress, tuple[object, ...]] = {}

    def hint(self) -> None:
        """Something may have been released. Returns at once; may be called any number of times."""
        with self._changed:
            self._hinted_s = time.monotonic()
            self._changed.notify_all()

    def stop(self) -> None:
        """Have `run` return."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()

    def run(self) -> None:
        """Follow hints, and note every minute what serves, until `stop`. Failures are logged."""
        with ThreadPoolExecutor(_MAX_AT_A_TIME, thread_name_prefix="courier") as threads:
            while not self._stopping.is_set():
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._stopping.is_set() or self._hinted_s is not None, timeout=self._every_s
                    )
                    hinted, self._hinted_s = self._hinted_s is not None, None
                if self._stopping.is_set():
                    return
                if hinted:
                    self._follow(threads)
                else:
                    list(threads.map(self._note, edges_of(self._settings)))
                self._pause(_LEAST_PAUSE_S)

    def _follow(self, threads: ThreadPoolExecutor) -> None:
        waiting, started_s = edges_of(self._settings), time.monotonic()
        for after_s in self._after_s:
            self._pause(started_s + after_s - time.monotonic())
            if self._stopping.is_set():
                return
            found = list(threads.map(self._has_looked, waiting))
            waiting = tuple(edge for edge, new in zip(waiting, found, strict=True) if not new)
            if not waiting or self._hinted_s is not None:
                return

    def _has_looked(self, edge: EdgeAddress) -> bool:
        answer = self._asked(edge, lambda call: call("look"))
        self._note(edge)
        return answer is not None and answer.get("installed") is not None

    def _note(self, edge: EdgeAddress) -> None:
        if self._deployments is None:
            return
        status = self._asked(edge, lambda call: call("status"), quietly=True)
        if status is None:
            return
        name, model, version = status.get("name"), status.get("model_name"), status.get("model_version")
        release = status.get("release_number")
        said = (name, model, version, release)
        if self._noted.get(edge) == said or not isinstance(version, int):
            return
        try:
            self._deployments.observe(
                str(model), version, edge=str(name), release=release if isinstance(release, int) else None
            )
        except EucentricError as error:
            _log.info("it is not noted yet that edge %s serves v%d: %s", name, version, error.what)
        else:
            self._noted[edge] = said

    def _asked(
        self, edge: EdgeAddress, ask: Callable[[Callable[[str], _Answer]], _Answer], *, quietly: bool = False
    ) -> _Answer | None:
        try:
            with calling(self._settings, edge, timeout_s=_CALL_TIMEOUT_S) as client:
                return ask(lambda method: client.call(method, {}))
        except EucentricError as error:
            # It looks by itself, sooner or later; a refusal is announced by the edge and in its status.
            _log.log(logging.DEBUG if quietly else logging.WARNING, "edge %s: %s", edge, error)
            return None

    def _pause(self, for_s: float) -> None:
        with self._changed:
            self._changed.wait_for(self._stopping.is_set, timeout=max(0.0, for_s))
