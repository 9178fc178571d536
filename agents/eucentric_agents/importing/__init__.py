"""Files of vendors become measured frames: calibrated or refused, through the journal, once per session."""

from __future__ import annotations

from ._errors import ImportConflictError, UncalibratedError
from ._importer import import_files, look_at_files
from ._options import ImportOptions
from ._report import FileReport, ImportReport, SignalReport, axis_text
from ._run import Progress

__all__ = [
    "FileReport",
    "ImportConflictError",
    "ImportOptions",
    "ImportReport",
    "Progress",
    "SignalReport",
    "UncalibratedError",
    "axis_text",
    "import_files",
    "look_at_files",
]
