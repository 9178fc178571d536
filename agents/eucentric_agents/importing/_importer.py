"""Importing: files are read apart, checked, and recorded through the journal as measured frames are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from eucentric_core import ConfigurationError, EucentricError, Settings

from .._home_lock import HomeLock
from ..recording import disk_errors
from ..vendor_files import ApartReader
from ._ledger import ImportLedger
from ._options import ImportOptions
from ._report import FileReport, ImportReport, SessionState
from ._run import ImportRun, Progress, tell
from ._sources import described, hash_of, planned_of

__all__ = ["import_files", "look_at_files"]


def look_at_files(
    paths: Sequence[Path], options: ImportOptions, *, progress: Progress | None = None
) -> ImportReport:
    """Say what an import would do; nothing is recorded and no home is touched."""
    reports = []
    with (
        tempfile.TemporaryDirectory(prefix="eucentric-import-") as scratch,
        _reader(Path(scratch), options) as reader,
    ):
        for number, path in enumerate(paths):
            tell(progress, number, len(paths), path.name)
            try:
                found = hash_of(path)
                if isinstance(found, EucentricError):
                    raise found
                _, planned, left = planned_of(reader, path, found, options)
            except EucentricError as error:
                reports.append(FileReport(file=str(path), verdict="refused", error=error.report()))
            else:
                reports.append(described(path, found, "importable", planned, left))
    tell(progress, len(paths), len(paths), "")
    return _report(options, reports, "none", dry_run=True)


def import_files(
    paths: Sequence[Path],
    options: ImportOptions,
    settings: Settings,
    *,
    close: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Record files as frames of a session. A file that cannot be does not keep the others from it.

    The session is closed, and its data set complete, when no file was refused, or if `close` says so.

    Args:
        paths: the files; a file of the same content is recorded once per session, however often it is given.
        options: what is said about them.
        settings: of this machine; its agent must not run meanwhile.
        close: close the session though files were refused.
        progress: told before each file.

    Raises:
        ConfigurationError: the agent of this home runs, another import does, or the home cannot be used.
        ImportConflictError: the session was measured, is over, or waits for a file that was interrupted.
        OutOfSpaceError, JournalError: the disk failed; what was recorded is kept, run it again.
    """
    with ExitStack() as opened:
        opened.enter_context(_home_for_us(settings.home))
        folder = settings.home / "agent" / "importing"
        with disk_errors("making the folder of imports"):
            folder.mkdir(parents=True, exist_ok=True)
        ledger = ImportLedger(folder / "imports.sqlite", options.instrument, options.session)
        opened.callback(ledger.close)
        reader = opened.enter_context(_reader(folder, options))
        run = ImportRun(ledger, reader, options, settings, opened)
        reports = run.files(paths, progress)
        state = run.end(reports, close=close)
    report = _report(options, reports, state, dry_run=False)
    return report.model_copy(update={"ship_to": settings.agent.ship_to})


@contextmanager
def _home_for_us(home: Path) -> Iterator[None]:
    lock = HomeLock(home)
    try:
        lock.__enter__()
    except ConfigurationError as error:
        raise ConfigurationError(
            f"Files cannot be imported into {home} now: {error.what}",
            safe="nothing was imported; a running agent goes on as it was.",
            next_step="stop the agent of this home for the time of the import, or import with another home "
            "(--home) whose agent.ship_to is the same repository.",
        ) from error
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _reader(scratch: Path, options: ImportOptions) -> ApartReader:
    return ApartReader(scratch, timeout_s=options.timeout_s, memory_bytes=options.memory_bytes)


def _report(
    options: ImportOptions, files: Sequence[FileReport], state: SessionState, *, dry_run: bool
) -> ImportReport:
    return ImportReport(
        instrument=options.instrument,
        session=options.session,
        dry_run=dry_run,
        session_state=state,
        files=tuple(files),
    )
