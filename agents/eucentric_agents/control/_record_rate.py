"""How many records one caller may cause a minute: nobody fills the disk of an instrument."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

__all__ = ["RecordRate"]

_CALLERS = 256


@dataclass(slots=True)
class _Caller:
    kept_s: deque[float]
    not_kept: int = field(default=0)


class RecordRate:
    """Keeps the first records of every caller a minute, and counts the others. Any thread may use it.

    Args:
        a_minute: how many are kept of one caller.
        clock: monotonic seconds.
    """

    def __init__(self, a_minute: int, *, clock: Callable[[], float]) -> None:
        self._a_minute = a_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._callers: OrderedDict[Hashable, _Caller] = OrderedDict()

    def admit(self, caller: Hashable) -> int | None:
        """How many were not kept since the last that was; None if this one is not kept either."""
        with self._lock:
            now_s = self._clock()
            known = self._callers.setdefault(caller, _Caller(deque(maxlen=self._a_minute)))
            self._callers.move_to_end(caller)
            while len(self._callers) > _CALLERS:
                self._callers.popitem(last=False)
            if len(known.kept_s) == self._a_minute and now_s - known.kept_s[0] < 60:
                known.not_kept += 1
                return None
            known.kept_s.append(now_s)
            not_kept, known.not_kept = known.not_kept, 0
            return not_kept
