"""Records of the audit log as a table on the screen, and as files for other programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eucentric_core import ConfigurationError

from .control import AuditRecord

__all__ = ["export_records", "print_records"]

_COLUMNS = (
    "index", "at_utc", "who", "role", "action", "outcome", "epoch", "trace_id",
    "details", "before", "after", "error", "digest",
)  # fmt: skip
_WHOLE = ("", "time (UTC)", "action", "outcome")
_NARROWEST = 10
_PROOFS = ("address", "fingerprint")
_COLOURS = {"done": "green", "begun": "cyan", "refused": "yellow", "failed": "red"}


def print_records(records: Iterable[AuditRecord], *, console: Console | None = None) -> None:
    """Show records as a table."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("", "time (UTC)", "who", "action", "outcome", "what"):
        whole = name in _WHOLE
        table.add_column(name, overflow="fold", no_wrap=whole, min_width=None if whole else _NARROWEST)
    for record in records:
        # What came over the wire is shown, never obeyed.
        table.add_row(
            str(record.index),
            f"{record.at_utc:%Y-%m-%d %H:%M:%S}",
            escape(_printable(record.who if record.role is None else f"{record.who} ({record.role})")),
            escape(_printable(record.action)),
            f"[{_COLOURS[record.outcome]}]{record.outcome}[/]",
            escape(_printable(_what(record))),
        )
    (console or Console()).print(table)


def export_records(records: Iterable[AuditRecord], file: Path) -> int:
    """Write records to a new file, `.csv` or `.jsonl`; returns how many.

    Raises:
        ConfigurationError: the file exists, or its name says neither.
        IntegrityError: a line of the log is wrong; nothing is left of the file.
    """
    if file.suffix not in (".csv", ".jsonl"):
        raise _refused(f"{file.name} is neither .csv nor .jsonl.", "give the file one of these endings.")
    try:
        stream = file.open("x", encoding="utf-8", newline="")
    except FileExistsError:
        raise _refused(f"{file} exists.", "choose another name, or move the file aside.") from None
    except OSError as error:
        raise _refused(f"{file} cannot be written: {error.strerror}.", "choose another folder.") from error
    count = 0
    try:
        with stream:
            writer = csv.writer(stream)
            if file.suffix == ".csv":
                writer.writerow(_COLUMNS)
            for record in records:
                if file.suffix == ".csv":
                    writer.writerow(_cells(record))
                else:
                    stream.write(record.line() + "\n")
                count += 1
    except BaseException:
        file.unlink()
        raise
    return count


def _cells(record: AuditRecord) -> list[str]:
    values = json.loads(record.line())
    return [_cell(values.get(name)) for name in _COLUMNS]


def _cell(value: object) -> str:
    if value is None or value == {}:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    # A spreadsheet would take such a name for a formula and carry it out.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _what(record: AuditRecord) -> str:
    if record.error is not None:
        return record.error.what
    # Where somebody sat, and with which certificate, is in `--json` and in an export.
    details = {name: value for name, value in record.details.items() if name not in _PROOFS}
    if record.epoch is not None:
        details = {"epoch": record.epoch, **details}
    return ", ".join(f"{name} {value}" for name, value in details.items() if value not in ("", None))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _refused(what: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(what, safe="nothing was written.", next_step=next_step)
