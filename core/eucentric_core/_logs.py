"""Structured logs: one JSON object a line in a bounded file, a readable line on the terminal."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

from pythonjsonlogger.json import JsonFormatter

__all__ = ["configure_logging"]

_MAX_BYTES = 16 << 20
_KEPT_FILES = 3


def configure_logging(service: str, folder: Path, *, level: int = logging.INFO) -> Path:
    """Send the root logger to `<folder>/<service>.jsonl` (16 MiB, 3 old files kept) and to stderr.

    Returns:
        The path of the log file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{service}.jsonl"
    to_file = logging.handlers.RotatingFileHandler(
        path, maxBytes=_MAX_BYTES, backupCount=_KEPT_FILES, encoding="utf-8"
    )
    to_file.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            static_fields={"service": service},
        )
    )
    to_terminal = logging.StreamHandler()
    to_terminal.setFormatter(logging.Formatter(f"%(asctime)s {service} %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.setLevel(level)
    root.handlers[:] = [to_file, to_terminal]
    return path
