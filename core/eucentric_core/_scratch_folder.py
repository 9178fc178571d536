"""Folders whose files can be made again, marked so that copies for safety leave them out.

The mark is the one that other tools know, too: https://bford.info/cachedir/ (tar, restic, Borg).
"""

from __future__ import annotations

from pathlib import Path

from ._files import write_atomic

__all__ = ["is_scratch_folder", "mark_scratch_folder"]

_NAME = "CACHEDIR.TAG"
_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
_TEXT = b"\n# What lies here can be made again: no backup holds it. See https://bford.info/cachedir/\n"


def mark_scratch_folder(folder: Path) -> None:
    """Mark a folder that is there; nothing to do where it is marked."""
    if not (folder / _NAME).exists():
        write_atomic(folder / _NAME, _SIGNATURE + _TEXT, durable=False)


def is_scratch_folder(folder: Path) -> bool:
    """Whether a folder is marked."""
    try:
        with (folder / _NAME).open("rb") as stream:
            return stream.read(len(_SIGNATURE)) == _SIGNATURE
    except (FileNotFoundError, NotADirectoryError):
        return False
