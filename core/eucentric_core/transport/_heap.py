"""Memory for large messages over a socket: used again, not given back and asked for anew with each."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from functools import cache
from typing import Final

__all__ = ["LARGE_BYTES", "keep_freed_memory"]

LARGE_BYTES: Final = 128 << 10
"""From here on glibc maps memory of its own for each allocation, if nobody tells it otherwise."""

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 256 << 20
_LARGEST_MMAP_THRESHOLD: Final = 32 << 20
"""glibc refuses more."""

_log = logging.getLogger(__name__)


@cache
def keep_freed_memory() -> bool:
    """Let this process use freed memory again rather than give it back; whether that was done.

    Up to 256 MiB that were in use once stay with the process. Pages that the system clears anew for each
    frame are a good part of what receiving it costs. Only with glibc, and not where the environment
    has settings for it.
    """
    is_set = any(name.startswith(("MALLOC_TRIM", "MALLOC_MMAP", "GLIBC_TUNABLES")) for name in os.environ)
    if sys.platform != "linux" or is_set:
        return False
    try:
        library = ctypes.CDLL(None)
        if not hasattr(library, "gnu_get_libc_version"):
            return False
        done = [
            library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD),
            library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES),
        ]
    except (OSError, AttributeError) as error:
        _log.debug("freed memory is given back at once: %s", error)
        return False
    return all(done)
