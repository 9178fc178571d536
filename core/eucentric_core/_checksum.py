"""CRC-32C of buffers, which processors compute in an instruction: six times as fast as zlib's CRC-32."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import google_crc32c
import numpy as np

__all__ = ["crc32c"]

_LARGE_BYTES = 1 << 20
"""From here on other Python threads go on meanwhile: the package's function holds them up. For what is
smaller, waiting for their lock again afterwards would take longer than the checksum."""

_log = logging.getLogger(__name__)


def crc32c(content: bytes | memoryview, value: int = 0) -> int:
    """CRC-32C (Castagnoli, RFC 3720) of what lay before, `value`, and of `content`."""
    # The library takes no memory view, but an array over one; an array over no bytes has no memory.
    if len(content) == 0:
        return value
    array = np.frombuffer(content, np.uint8)
    extend = _extend() if len(content) >= _LARGE_BYTES else None
    if extend is None:
        return int(google_crc32c.extend(value, array))
    return int(extend(value, array.ctypes.data, len(content)))


@cache
def _extend() -> Callable[[int, int, int], Any] | None:
    """The function of the library that the package calls; None where it is not found so."""
    try:
        from google_crc32c import _crc32c

        extend = ctypes.CDLL(_crc32c.__file__).crc32c_extend
    except (ImportError, OSError, AttributeError) as error:
        _log.debug("checksums are computed by the package's own function: %s", error)
        return None
    extend.argtypes = [ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t]
    extend.restype = ctypes.c_uint32
    sample = np.arange(251, dtype=np.uint8)
    if extend(7, sample.ctypes.data, len(sample)) != google_crc32c.extend(7, sample):
        _log.warning("%s has another function of this name", _crc32c.__file__)
        return None
    found: Callable[[int, int, int], Any] = extend
    return found
