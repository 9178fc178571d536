"""When a runtime computes for somebody else: the moments in which the interpreter is free."""

from __future__ import annotations

import threading
import time

__all__ = ["RUNS", "RunMoments", "at_next_run"]

_RECENT_S = 0.5
_TIMEOUT_S = 0.1


class RunMoments:
    """Tells who wants to hold the interpreter for milliseconds when another thread does not need it.

    A runtime computes without the interpreter. What holds it (giving back the memory of a compiled network
    takes 10 ms, all of it inside a destructor) costs a frame nothing while that frame is being computed, and
    its whole length at any other time.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._begun = 0
        self._last_s = -_RECENT_S
        self._runner: int | None = None

    def begin(self) -> None:
        """This thread hands images to a runtime now."""
        with self._changed:
            self._begun += 1
            self._last_s = time.monotonic()
            self._runner = threading.get_ident()
            self._changed.notify_all()

    def wait_next(self, timeout_s: float) -> bool:
        """Wait until another thread begins a run.

        Returns:
            False at once where no other thread has run anything for 0.5 s, and after `timeout_s`.
        """
        with self._changed:
            idle = time.monotonic() - self._last_s >= _RECENT_S
            if idle or self._runner == threading.get_ident():
                return False
            begun = self._begun
            return self._changed.wait_for(lambda: self._begun != begun, timeout=timeout_s)


RUNS = RunMoments()
"""Of this process."""


def at_next_run() -> None:
    """Return when another thread begins a run, for a few milliseconds of Python that can wait so long.

    At once where no other thread computes frames: whoever trains, or opens a model for a file, does not wait.
    """
    RUNS.wait_next(_TIMEOUT_S)
