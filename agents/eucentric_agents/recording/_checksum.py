"""CRC-32C of buffers, which processors compute in an instruction: six times as fast as zlib's CRC-32."""

from __future__ import annotations

import google_crc32c
import numpy as np

__all__ = ["crc32c"]


def crc32c(content: bytes | memoryview, value: int = 0) -> int:
    """CRC-32C (Castagnoli, RFC 3720) of what lay before, `value`, and of `content`."""
    # The library takes no memory view, but an array over one; an array over no bytes has no memory.
    if len(content) == 0:
        return value
    return int(google_crc32c.extend(value, np.frombuffer(content, np.uint8)))
