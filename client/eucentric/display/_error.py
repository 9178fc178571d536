"""An error in a notebook: what happened, what is safe, what to do next."""

from __future__ import annotations

from typing import Protocol

from ._card import card

__all__ = ["report_card"]


class _Report(Protocol):
    @property
    def code(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def safe(self) -> str: ...
    @property
    def next_step(self) -> str: ...


def report_card(report: _Report) -> str:
    """A failure as HTML."""
    rows = [("what happened", report.what), ("safe", report.safe), ("next", report.next_step)]
    return card("failed", rows, subtitle=report.code)
