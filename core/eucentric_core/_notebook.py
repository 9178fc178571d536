"""How things show themselves in a notebook: in the words of whoever offers to draw them, if anybody does."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Painter", "html_of", "paint_with"]

Painter = Callable[[object], str | None]
"""Makes HTML of a thing; None if it does not know the thing."""


def _nothing(thing: object) -> str | None:
    return None


_painter: Painter = _nothing


def paint_with(painter: Painter) -> None:
    """Have everything of this process shown by `painter`; `import eucentric` does so."""
    global _painter  # noqa: PLW0603 - one notebook, one way to show things
    _painter = painter


def html_of(thing: object) -> str | None:
    """A thing as HTML. None, where nobody draws it, has a notebook show its plain text."""
    return _painter(thing)
