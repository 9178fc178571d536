"""Numbers and lists in words, for sentences about policies."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["duration", "listed", "size"]

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def duration(seconds: float) -> str:
    """A time in the largest unit of which it is a whole number: `10 min`, `90 s`."""
    for unit, length_s in _UNITS:
        if seconds >= length_s and seconds % length_s == 0:
            return f"{seconds / length_s:g} {unit}"
    return f"{seconds:g} s"


def size(size_bytes: float) -> str:
    """Bytes in decimal units, as disks are sold: `1.5 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.3g} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.3g} TB"


def listed(words: Sequence[str], conjunction: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {conjunction} {words[-1]}"
