"""The steps between which a crash can come.

The code calls `reached` at each, by a name that its room lists; it does nothing. A test that wants a process
to die at a step replaces `on_step` in that process, which it started itself: no variable, option or message
from outside leads there.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["reached"]


def _nothing(_step: str) -> None:
    """What happens at a step: nothing."""


on_step: Callable[[str], None] = _nothing


def reached(step: str) -> None:
    """Say that a step is reached."""
    on_step(step)
