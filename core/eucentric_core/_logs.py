"""Structured logs: one JSON object a line in a bounded file, and a readable line where somebody reads it."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path

from pythonjsonlogger.json import JsonFormatter

from ._errors import ConfigurationError
from ._trace import TraceFilter

__all__ = ["configure_logging"]

_MAX_BYTES = 16 << 20
_KEPT_FILES = 3

_installed: list[logging.Handler] = []


def configure_logging(service: str, folder: Path, *, level: int = logging.INFO) -> Path:
    """Send the root logger to `<folder>/<service>.jsonl` (16 MiB, 3 old files kept), and to a terminal.

    Times in the file are UTC; a line that is part of a trace has its `trace_id`. Where stderr is no terminal,
    log lines do not go there: it ends in a file that nobody bounds. What is raised uncaught still does. A
    second call replaces what the first one set up.

    Returns:
        The path of the log file.

    Raises:
        ConfigurationError: the folder cannot be made or written.
    """
    path = folder / f"{service}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        to_file = logging.handlers.RotatingFileHandler(
            path, maxBytes=_MAX_BYTES, backupCount=_KEPT_FILES, encoding="utf-8"
        )
    except OSError as error:
        raise ConfigurationError(
            f"The log {path} cannot be written: {error}.",
            safe="nothing was started.",
            next_step="correct the folder's permissions, or set another `home`.",
        ) from error
    to_file.setFormatter(
        JsonFormatter(
            "%(levelname)s %(name)s %(message)s",
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger"},
            static_fields={"service": service},
        )
    )
    handlers: list[logging.Handler] = [to_file]
    # A program without a console (pythonw) has no stderr.
    if sys.stderr is not None and sys.stderr.isatty():
        to_terminal = logging.StreamHandler()
        to_terminal.setFormatter(logging.Formatter(f"%(asctime)s {service} %(levelname)s %(message)s"))
        handlers.append(to_terminal)
    root = logging.getLogger()
    root.setLevel(level)
    for handler in _installed:
        root.removeHandler(handler)
        handler.close()
    _installed[:] = handlers
    for handler in _installed:
        handler.addFilter(TraceFilter())
        root.addHandler(handler)
    return path
