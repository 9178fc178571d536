"""A bar for work that somebody waits for at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["CountDone", "counting_bar"]

CountDone = Callable[[int, int, str], None]
"""Called as ``count(done, of, name)``, with the name of what is being worked on."""

_NAME_CHARACTERS = 40


@contextmanager
def counting_bar(task: str, *, shown: bool) -> Iterator[CountDone | None]:
    """A bar on the error stream for as long as the context is open; None where nobody would see it."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield None
        return
    with Progress(console=console, transient=True) as bar:
        row = bar.add_task(task)
        yield lambda done, of, name: bar.update(
            row, completed=done, total=of, description=name[:_NAME_CHARACTERS]
        )
