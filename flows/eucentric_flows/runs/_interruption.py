"""Ending what the main thread does, from another thread, wherever it stands."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from eucentric_core import EucentricError

__all__ = ["interruptible"]

_SIGNAL = getattr(signal, "SIGUSR1", None)

Interrupt = Callable[[EucentricError], None]


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Yields a function that raises an error inside the block, once, also while it waits for something.

    It works where the block is in the main thread (Python runs handlers of signals there, and what they
    raise ends a wait); elsewhere it does nothing, and the block has to look for itself.
    """
    main = threading.main_thread()
    if _SIGNAL is None or threading.current_thread() is not main:
        yield lambda _error: None
        return
    wanted: list[EucentricError] = []
    over = False

    def raise_it(_number: int, _frame: FrameType | None) -> None:
        if wanted and not over:
            raise wanted[0]

    def interrupt(error: EucentricError) -> None:
        if not wanted and not over and main.ident is not None:
            wanted.append(error)
            signal.pthread_kill(main.ident, _SIGNAL)

    previous = signal.signal(_SIGNAL, raise_it)
    try:
        yield interrupt
    finally:
        over = True
        signal.signal(_SIGNAL, previous)
