"""Files of vendors become measured frames: calibrated or refused, through the journal, once per session."""

from __future__ import annotations

from ._errors import ImportConflictError, UncalibratedError
from ._importer import import_files, look_at_files
from ._options import ImportOptions
from ._planned import PlannedSignal, plan_signals
from ._report import FileReport, ImportReport, SignalReport, axis_text
from ._run import Progress
from ._sources import described

__all__ = [
    "FileReport",
    "ImportConflictError",
    "ImportOptions",
    "ImportReport",
    "PlannedSignal",
    "Progress",
    "SignalReport",
    "UncalibratedError",
    "axis_text",
    "described",
    "import_files",
    "look_at_files",
    "plan_signals",
]
