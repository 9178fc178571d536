"""Log entries that strangers can cause: few, whatever they do."""

from __future__ import annotations

import logging
import threading
import time

__all__ = ["Complaints"]

_EVERY_S = 10.0
_log = logging.getLogger(__name__)


class Complaints:
    """Logs the first of a flood at once and the number of the others every ten seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logged_s = -_EVERY_S
        self._unsaid = 0

    def note(self, complaint: str) -> None:
        """Something that a stranger did."""
        with self._lock:
            now_s = time.monotonic()
            if now_s - self._logged_s < _EVERY_S:
                self._unsaid += 1
                return
            unsaid, self._unsaid, self._logged_s = self._unsaid, 0, now_s
        _log.warning("%s%s", complaint[:500], f" (and {unsaid} more before)" if unsaid else "")
