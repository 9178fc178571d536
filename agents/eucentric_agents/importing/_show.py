"""The outcome of an import for people."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ._report import FileReport, ImportReport

__all__ = ["show"]

_VERDICTS = {
    "imported": "imported",
    "already": "in the session already (nothing doubled)",
    "importable": "can be imported",
    "refused": "refused",
}


def show(report: ImportReport) -> None:
    """Print what became of each file as a table, and every reason below it."""
    table = Table("file", "verdict", "frames", "stream", "shape", "dtype", "calibration")
    for file in report.files:
        for number, cells in enumerate(_rows(file)):
            head = (Path(file.file).name, file.verdict, str(file.frames or "-")) if number == 0 else ("",) * 3
            table.add_row(*(escape(cell) for cell in (*head, *cells)))
    console = Console()
    if report.files:
        console.print(table)
    for file in report.files:
        if file.error is not None:
            console.print(
                escape(f"refused: {file.error.what}\n  next: {file.error.next_step}"), soft_wrap=True
            )
        for left in file.left_out:
            console.print(
                escape(f"left out of {Path(file.file).name}: {left.title!r}: {left.reason}"), soft_wrap=True
            )
        if file.note is not None:
            console.print(escape(f"{Path(file.file).name}: {file.note}"), soft_wrap=True)
    console.print(escape(_summary(report)), soft_wrap=True)


def _rows(file: FileReport) -> list[tuple[str, str, str, str]]:
    if not file.signals:
        return [("", "", "", "")]
    return [
        (signal.stream, " x ".join(map(str, signal.shape)), signal.dtype, signal.calibration)
        for signal in file.signals
    ]


def _goes(report: ImportReport) -> str:
    if report.ship_to is None:
        return "it stays on this machine (agent.ship_to is not set)"
    return f"the agent sends it to {report.ship_to} while it runs"


def _summary(report: ImportReport) -> str:
    counts = {verdict: sum(file.verdict == verdict for file in report.files) for verdict in _VERDICTS}
    words = (
        ", ".join(f"{count} {_VERDICTS[verdict]}" for verdict, count in counts.items() if count) or "no files"
    )
    if report.dry_run:
        return f"{words}; nothing was recorded (--dry-run)"
    ending = {
        "none": "no session was opened",
        "open": f"session {report.session} is open: import what is missing, or end it with --close",
        "complete": f"data set {report.instrument}.{report.session} is complete; {_goes(report)}",
    }[report.session_state]
    return f"{words}; {ending}"
