"""One line that changes while somebody waits: in a notebook cell or on a terminal, and never in a log."""

from __future__ import annotations

import html
import sys
from typing import Any, Protocol

from rich.console import Console

__all__ = ["StatusLine", "status_line"]


class StatusLine(Protocol):
    """Where the line is shown."""

    def show(self, text: str, share: float | None = None) -> None:
        """Say something else; `share` of 0 to 1 is how much is done."""

    def end(self, text: str) -> None:
        """Say the last word."""


class _Terminal:
    def __init__(self) -> None:
        self._status = Console(stderr=True).status("")
        self._status.start()

    def show(self, text: str, share: float | None = None) -> None:
        self._status.update(text if share is None else f"{share:4.0%} {text}")

    def end(self, text: str) -> None:
        self._status.stop()
        Console(stderr=True).print(text, highlight=False)


class _Cell:
    def __init__(self, ipython_display: Any) -> None:
        self._html = ipython_display.HTML
        self._handle = ipython_display.display(self._html(""), display_id=True)

    def show(self, text: str, share: float | None = None) -> None:
        bar = "" if share is None else f'<progress value="{share:.4f}" max="1"></progress> '
        self._handle.update(self._html(f"{bar}<em>{html.escape(text)}</em>"))

    def end(self, text: str) -> None:
        self.show(text)


def status_line() -> StatusLine | None:
    """A line where somebody can see it; None in a script without a terminal."""
    # Looked up, not imported: a script without a notebook must not pay for IPython.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        from IPython import display

        return _Cell(display)
    return _Terminal() if sys.stderr.isatty() else None
