"""Numbers as people say them."""

from __future__ import annotations

from datetime import datetime

__all__ = ["bytes_words", "duration_words", "length_words", "time_words"]

_NM_PER_M, _UM_PER_M = 1e9, 1e6


def length_words(length_m: float | None) -> str:
    """A length in metres, said in nm or µm."""
    if length_m is None:
        return "unknown"
    if abs(length_m) < 1e-6:
        return f"{length_m * _NM_PER_M:.4g} nm"
    return f"{length_m * _UM_PER_M:.4g} µm"


def bytes_words(size_bytes: int) -> str:
    """A size in bytes, said in kB, MB or GB (powers of 1000)."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def duration_words(seconds: float) -> str:
    """A duration in seconds, said in s, min or h."""
    if seconds < 90:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def time_words(at_utc: datetime | None) -> str:
    """A moment in UTC, to the second."""
    return "-" if at_utc is None else f"{at_utc:%Y-%m-%d %H:%M:%S} UTC"
