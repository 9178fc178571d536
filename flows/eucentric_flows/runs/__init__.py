"""Runs: the record that is the truth about them, their signs of life, their end, and how people see them."""

from __future__ import annotations

from ._active_run import ActiveRun, carrying_out
from ._clean_up import clean_up, end_cancelled
from ._fate import MOST_RESUMES, Fate, fate_of
from ._interruption import interruptible
from ._logs import log_lines
from ._record import LOST_AFTER_S, Admission, RunRecord, RunRecordError, runs_path
from ._time_line import duration_words, state_words, time_line
from ._views import RunState, RunView, StageView, TriggeredBy, WaitView
from ._waits import wait_of

__all__ = [
    "LOST_AFTER_S",
    "MOST_RESUMES",
    "ActiveRun",
    "Admission",
    "Fate",
    "RunRecord",
    "RunRecordError",
    "RunState",
    "RunView",
    "StageView",
    "TriggeredBy",
    "WaitView",
    "carrying_out",
    "clean_up",
    "duration_words",
    "end_cancelled",
    "fate_of",
    "interruptible",
    "log_lines",
    "runs_path",
    "state_words",
    "time_line",
    "wait_of",
]
