"""What the simulated hardware was told, written down by itself: the measure of every safety test."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from pydantic import JsonValue

from eucentric_core import ConfigurationError, utc_now

__all__ = ["HardwareLog"]


class HardwareLog:
    """Append-only JSON lines: `monotonic_s` (system-wide on Linux), `utc`, `what` and its values.

    Each line is flushed before the call returns. Any thread may write.

    Args:
        path: where to; None writes nothing.

    Raises:
        ConfigurationError: the file cannot be opened.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        try:
            self._file = None if path is None else path.open("a", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"The journal {path} cannot be opened: {error.strerror}.",
                safe="no instrument was opened.",
                next_step="set agent.driver.journal to a file in a folder that exists.",
            ) from error

    def write(self, what: str, **values: JsonValue) -> None:
        """Note that the hardware was told something."""
        with self._lock:
            if self._file is None:
                return
            line = {"monotonic_s": time.monotonic(), "utc": utc_now().isoformat(), "what": what, **values}
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Write no more."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
