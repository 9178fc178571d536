"""Telling what is waited for from what is done."""

from __future__ import annotations

import re

__all__ = ["wait_of"]

_BEGINNINGS = ("queued in ", "waiting ", "submitted to ")
_DURATION = r"\d+(?:\.\d+)? (?:s|min|h)\b"
_COURSE = re.compile(rf",? (?:next try in )?{_DURATION}")


def wait_of(message: str) -> str | None:
    """What a stage waits for, by what it says; None where it works.

    How long it has been waiting changes with every look, so it is not part of the answer:
    `queued in Slurm: Priority (others come first), 4 min` and `..., 5 min` are one wait.
    """
    if not message.lower().startswith(_BEGINNINGS):
        return None
    return _COURSE.sub("", message).strip()
