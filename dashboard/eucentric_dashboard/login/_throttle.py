"""Guessing passwords takes for ever: each failure of a name, or from an address, makes the wait longer."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from math import ceil

from eucentric_core import NotAuthorisedError

__all__ = ["LoginThrottle", "wait_s"]

FREE_FAILURES = 5
MAX_WAIT_S = 300.0
_FORGOTTEN_S = 3600.0
_MAX_KEPT = 4096


def wait_s(failures: int, free_failures: int = FREE_FAILURES) -> float:
    """How long after its last failure the next try of a name or an address is refused, in seconds."""
    over = failures - free_failures
    return 0.0 if over < 0 else min(MAX_WAIT_S, 2.0 ** min(over, 16))


class LoginThrottle:
    """Counts failures. Any thread may call.

    Args:
        free_failures: that cost nothing.
        now_s: monotonic seconds.
    """

    def __init__(
        self, *, free_failures: int = FREE_FAILURES, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._free_failures = free_failures
        self._now_s = now_s
        self._lock = threading.Lock()
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def require_allowed(self, *keys: str) -> None:
        """Refuse a try that comes too soon after failures of any of these keys.

        Raises:
            NotAuthorisedError: how long to wait.
        """
        now_s = self._now_s()
        with self._lock:
            left_s = max((self._left_s(key, now_s) for key in keys), default=0.0)
        if left_s > 0:
            raise NotAuthorisedError(
                "Too many failed tries.",
                safe="nobody was let in, and the password was not looked at.",
                next_step=f"try again in {ceil(left_s)} s.",
                wait_s=ceil(left_s),
            )

    def failed(self, *keys: str) -> None:
        """A try failed."""
        now_s = self._now_s()
        with self._lock:
            for key in keys:
                failures, last_s = self._failed.pop(key, (0, now_s))
                if now_s - last_s > _FORGOTTEN_S:
                    failures = 0
                self._failed[key] = (failures + 1, now_s)
            while len(self._failed) > _MAX_KEPT:
                self._failed.popitem(last=False)

    def succeeded(self, *keys: str) -> None:
        """A try was right: these keys begin anew."""
        with self._lock:
            for key in keys:
                self._failed.pop(key, None)

    def _left_s(self, key: str, now_s: float) -> float:
        failures, last_s = self._failed.get(key, (0, now_s))
        return wait_s(failures, self._free_failures) - (now_s - last_s)
