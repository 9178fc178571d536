"""What a notebook shows of frames, instruments, leases, data sets, models, runs and decisions."""

from __future__ import annotations

from ._answer import answer_facts
from ._capabilities import badges_of
from ._card import card
from ._line import StatusLine, status_line
from ._measurement import Measurement
from ._optional import require
from ._painter import html_for
from ._run import run_card
from ._search import plot_search
from ._state import facts

__all__ = [
    "Measurement",
    "StatusLine",
    "answer_facts",
    "badges_of",
    "card",
    "facts",
    "html_for",
    "plot_search",
    "require",
    "run_card",
    "status_line",
]
