"""Says what the demo is doing, on the error stream, so that `--json` leaves stdout to the object."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

__all__ = ["Progress"]

_REFRESH_S = 0.5


class Progress:
    """Names the running stage and what it is doing, and keeps the time of every finished one."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self.stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, doing: str) -> Iterator[None]:
        """Show a stage while it runs; its time is kept only if it succeeds."""
        begun = time.monotonic()
        with self._console.status(f"[bold]{name}[/bold]: {doing}"):
            yield
        self.record(name, time.monotonic() - begun, doing)

    @contextmanager
    def waiting(self, present: Callable[[], str]) -> Iterator[None]:
        """Show what another process is doing, as it says itself, while this one waits for it."""
        done = threading.Event()
        with self._console.status("waiting") as status:

            def refresh() -> None:
                while not done.wait(_REFRESH_S):
                    status.update(present())

            thread = threading.Thread(target=refresh, daemon=True)
            thread.start()
            try:
                yield
            finally:
                done.set()
                thread.join()

    def record(self, name: str, seconds: float, doing: str) -> None:
        """Keep and show the time of a stage that has ended."""
        self.stages[name] = round(self.stages.get(name, 0.0) + seconds, 3)
        self._console.print(f"[green]✓[/green] {name:<10} {seconds:6.1f} s   {doing}", highlight=False)

    def say(self, text: str) -> None:
        """One line between the stages."""
        self._console.print(text, highlight=False)

    @property
    def total_s(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self._started
