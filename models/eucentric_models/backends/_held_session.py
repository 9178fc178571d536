"""A session of a runtime, whose memory is given back while others compute."""

from __future__ import annotations

import threading
from typing import Any

from .._run_moments import at_next_run

__all__ = ["HeldSession"]


class HeldSession:
    """Holds what a runtime compiled, until it is closed or dropped.

    Its destructor takes milliseconds and holds the interpreter all the while: it runs beside the computing of
    another thread, where there is one.

    Args:
        session: what the runtime gave; nobody else may keep it.
    """

    _session: Any = None

    def __init__(self, session: Any) -> None:
        self._lock = threading.Lock()
        self._session = session

    @property
    def session(self) -> Any:
        """What is held; None after `close`."""
        return self._session

    def close(self) -> None:
        """Let go of it; once more does nothing."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            at_next_run()

    def __del__(self) -> None:
        # Most are dropped and not closed: a model that was replaced or refused.
        if self._session is not None:
            self.close()
