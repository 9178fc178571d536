"""Faults of a simulated instrument that can be switched on, also while it runs."""

from __future__ import annotations

import ctypes
import logging
import sys
import threading
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from eucentric_core import FrozenModel, TransportError
from eucentric_core.vocabulary import Command

__all__ = ["FaultOptions", "FaultSwitch", "Faults"]

_POLL_S = 0.02

_log = logging.getLogger(__name__)


class Faults(FrozenModel):
    """What is broken at present.

    Args:
        stage_stops_at: share of the way at which every move ends while it is reported done; 0: it stays.
        stage_creep_m_per_s: speed along x at which the stage leaves where it has arrived.
        detector_stalls: a frame takes for ever until it is aborted.
        hanging_verbs: these never return until the fault is cleared or the instrument closed.
        connection_lost: every command but the urgent ones, which have a line of their own, fails.
        process_freezes_s: every command but the urgent ones first stops all threads for so long.
    """

    stage_stops_at: Annotated[float, Field(ge=0, le=1)] | None = None
    stage_creep_m_per_s: Annotated[float, Field(ge=-1e-6, le=1e-6)] = 0.0
    detector_stalls: bool = False
    hanging_verbs: tuple[str, ...] = ()
    connection_lost: bool = False
    process_freezes_s: Annotated[int, Field(ge=0, le=60)] = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of everything that is broken."""
        off = Faults()
        return tuple(
            f"{name} = {getattr(self, name)}"
            for name in Faults.model_fields
            if getattr(self, name) != getattr(off, name)
        )


class FaultOptions(Faults):
    """Faults at the start. A JSON object in `file` is laid over them whenever that file has changed."""

    file: Path | None = None


class FaultSwitch:
    """The faults as they stand. Any thread may ask.

    Args:
        options: faults at the start and the file to watch.
    """

    def __init__(self, options: FaultOptions) -> None:
        self._file = options.file
        self._start = options.model_dump(exclude={"file"})
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._current = Faults(**self._start)
        self._closed = threading.Event()

    @property
    def current(self) -> Faults:
        """What is broken now; a file that is no JSON object of faults changes nothing and is logged."""
        if self._file is None:
            return self._current
        with self._lock:
            try:
                found = self._file.stat()
                text = self._file.read_text(encoding="utf-8")
            except FileNotFoundError:
                self._seen, self._current = None, Faults(**self._start)
                return self._current
            version = (found.st_mtime_ns, found.st_size)
            if version != self._seen:
                self._seen = version
                try:
                    changes = Faults.model_validate_json(text).model_dump(exclude_unset=True)
                    self._current = Faults(**{**self._start, **changes})
                except ValidationError as error:
                    _log.error("faults unchanged, %s is not readable: %s", self._file, error)
            return self._current

    def pass_command(self, command: Command) -> None:
        """Let a command through, hold it up or lose it, as the faults say.

        Raises:
            TransportError: the connection is lost, or the instrument was closed meanwhile.
        """
        while command.verb in self.current.hanging_verbs:
            if self._closed.wait(_POLL_S):
                raise TransportError(
                    f"{command.verb} was given up: the instrument was closed.",
                    safe="the simulated instrument is in its safe state.",
                    next_step="open the instrument again.",
                )
        if command.urgent:
            return
        faults = self.current
        if faults.connection_lost:
            raise TransportError(
                "The connection to the (simulated) instrument is lost.",
                safe="urgent commands still arrive; nothing else does.",
                next_step="wait until the fault is cleared.",
            )
        if faults.process_freezes_s:
            _freeze(faults.process_freezes_s)

    def close(self) -> None:
        """Let go of what hangs."""
        self._closed.set()


def _freeze(duration_s: int) -> None:
    # Called through PyDLL the function keeps the interpreter's lock, so that no thread runs meanwhile.
    if sys.platform == "win32":
        ctypes.PyDLL("kernel32").Sleep(duration_s * 1000)
    else:
        ctypes.PyDLL(None).sleep(duration_s)
