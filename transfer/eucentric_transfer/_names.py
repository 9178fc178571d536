"""Names of files at the far end: relative, plain, and unable to leave the root."""

from __future__ import annotations

import re

from eucentric_core import DataFormatError

__all__ = ["checked_name"]

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,239}", re.ASCII)
_MAX_PARTS = 6
_WINDOWS_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))}
)


def _is_plain(part: str) -> bool:
    # A name that ends in a dot, or is a device's, means another file on Windows.
    return (
        _PART.fullmatch(part) is not None
        and not part.endswith(".")
        and part.split(".", 1)[0].lower() not in _WINDOWS_DEVICES
    )


def checked_name(name: str) -> tuple[str, ...]:
    """The parts of a far-end name such as `incoming/twin_s1_000000_0123456789ab.h5`.

    Raises:
        DataFormatError: absolute, `..`, a backslash, NUL, an empty or hidden part, a Windows device
            name, or anything else that could mean a file outside the root.
    """
    parts = tuple(name.split("/"))
    if len(parts) > _MAX_PARTS or not all(map(_is_plain, parts)):
        raise DataFormatError(
            f"{name[:120]!r} is not a plain relative file name.",
            safe="nothing was read or written.",
            next_step="use letters, digits, '.', '_' and '-', with '/' between folders.",
        )
    return parts
