"""One import into one session: files in, frames in the journal, every file once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eucentric_core import (
    CommandRefusedError,
    EucentricError,
    Frame,
    OutOfSpaceError,
    SessionStarted,
    Settings,
)

from ..recording import Journal, JournalError, open_journal
from ..sessions import SessionNames
from ..vendor_files import ApartReader, is_whole_in_one_file
from ._errors import ImportConflictError
from ._ledger import ImportedFile, ImportLedger
from ._options import ImportOptions
from ._planned import PlannedSignal
from ._report import FileReport, SessionState
from ._sources import described, hash_of, planned_of

__all__ = ["ImportRun", "Progress", "tell"]

Progress = Callable[[int, int, str], None]
"""Called with the number of files done, of all files, and the name of the one that is next."""

_SYNC_BYTES = 64 << 20


class ImportRun:
    """One import with its open ledger; the journal is opened with the first frame."""

    def __init__(
        self,
        ledger: ImportLedger,
        reader: ApartReader,
        options: ImportOptions,
        settings: Settings,
        opened: ExitStack,
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._options = options
        self._settings = settings
        self._opened = opened
        self._journal: Journal | None = None
        self._given = options.model_dump_json(exclude={"keep_open", "timeout_s", "memory_bytes"})

    def files(self, paths: Sequence[Path], progress: Progress | None) -> list[FileReport]:
        """Take one file after another, one that was interrupted first."""
        reports: dict[int, FileReport] = {}
        hashes = [hash_of(path) for path in paths]
        for number, index in enumerate(self._order(paths, hashes)):
            path, found = paths[index], hashes[index]
            tell(progress, number, len(paths), path.name)
            try:
                if isinstance(found, EucentricError):
                    raise found
                reports[index] = self._file(path, found)
            except (OutOfSpaceError, JournalError):
                # Numbers are handed out already: nothing may come after them before they are filled.
                raise
            except EucentricError as error:
                known = None if isinstance(found, EucentricError) else found
                reports[index] = FileReport(
                    file=str(path), verdict="refused", sha256=known, error=error.report()
                )
        tell(progress, len(paths), len(paths), "")
        return [reports[index] for index in range(len(paths))]

    def end(self, reports: Sequence[FileReport], *, close: bool) -> SessionState:
        """Close the session if it is to be; what state it is in."""
        if not self._ledger.known:
            return "none"
        refused = any(report.verdict == "refused" for report in reports)
        if not self._ledger.closed and (close or not (refused or self._options.keep_open)):
            self._require_filled()
            self._open_journal().stop_session(
                self._options.instrument, self._options.session, frames=self._ledger.next_sequence()
            )
            self._ledger.close_session()
        return "complete" if self._ledger.closed else "open"

    def _require_filled(self, *, but: ImportedFile | None = None) -> None:
        waiting = self._waiting()
        if waiting is not None and waiting != but:
            raise ImportConflictError(
                f"The import of {waiting.name} into session {self._options.session} was interrupted.",
                safe="what was recorded of it is kept, and nothing is doubled.",
                next_step=f"import {waiting.name} again first, or use another session.",
            )

    def _waiting(self) -> ImportedFile | None:
        return next((file for file in self._ledger.files() if file.state == "recording"), None)

    def _order(self, paths: Sequence[Path], hashes: Sequence[str | EucentricError]) -> list[int]:
        """One that was interrupted comes first: its acquisitions are before all that follow."""
        waiting = self._waiting()
        if waiting is None:
            return list(range(len(paths)))
        first = [
            index
            for index, path in enumerate(paths)
            if hashes[index] == waiting.sha256
            or (path.name == waiting.name and not is_whole_in_one_file(path))
        ]
        if not first:
            self._require_filled()
        return first + [index for index in range(len(paths)) if index not in first]

    def _file(self, path: Path, sha256: str) -> FileReport:
        if is_whole_in_one_file(path):
            known = self._known(path, sha256)
            if isinstance(known, FileReport):
                return known
        identity, planned, left = planned_of(self._reader, path, sha256, self._options)
        known = self._known(path, identity)
        if isinstance(known, FileReport):
            return known
        count = sum(signal.frames for signal in planned)
        file = known or ImportedFile(
            name=path.name,
            sha256=identity,
            given=self._given,
            first_sequence=self._ledger.next_sequence(),
            frames=count,
            state="recording",
        )
        if file.frames != count:
            raise ImportConflictError(
                f"{path.name} was half imported as {file.frames} frames and is {count} now.",
                safe="what was recorded is kept.",
                next_step="use the version of RosettaSciIO it was begun with, or another session.",
            )
        self._require_filled(but=file)
        self._record(path, sha256, file, planned, new=known is None)
        report = described(path, sha256, "imported", planned, left)
        return report.model_copy(update={"first_sequence": file.first_sequence})

    def _known(self, path: Path, identity: str) -> FileReport | ImportedFile | None:
        """What is known of a file: all of it is recorded, or only a part may be."""
        known = next((file for file in self._ledger.files() if file.sha256 == identity), None)
        if known is None:
            return None
        other = known.given != self._given
        if known.state == "done":
            return FileReport(
                file=str(path),
                verdict="already",
                sha256=identity,
                first_sequence=known.first_sequence,
                frames=known.frames,
                note="with other options: to import it anew, use another session" if other else None,
            )
        if other:
            raise ImportConflictError(
                f"{path.name} was half imported, but with other options: {known.given}.",
                safe="what was recorded is kept.",
                next_step="import it with the same options, or into another session.",
            )
        return known

    def _record(
        self, path: Path, sha256: str, file: ImportedFile, planned: Sequence[PlannedSignal], *, new: bool
    ) -> None:
        journal = self._open_journal()
        self._start_session(journal)
        if new:
            self._ledger.begin(file)
        unsynced = 0
        for number, frame in enumerate(self._frames(path, sha256, file, planned)):
            outcome = journal.append(frame)
            if outcome == "duplicate" and new and number == 0:
                self._ledger.forget(file.sha256)
                raise self._not_ours()
            if outcome not in ("stored", "duplicate"):
                raise JournalError(
                    f"The journal did not take frame {frame.header.sequence} of {path.name} ({outcome}).",
                    safe="what was recorded before it is kept.",
                    next_step="see the journal's quarantine for the reason.",
                )
            unsynced += frame.header.nbytes
            if unsynced >= _SYNC_BYTES:
                journal.sync()
                unsynced = 0
        journal.sync()
        self._ledger.finish(file.sha256)

    def _frames(
        self, path: Path, sha256: str, file: ImportedFile, planned: Sequence[PlannedSignal]
    ) -> Iterator[Frame]:
        stat = path.stat()
        changed_utc = datetime.fromtimestamp(stat.st_mtime, UTC)
        sequence = file.first_sequence
        for signal in planned:
            source: dict[str, Any] = {
                "file": path.name,
                "sha256": sha256,
                "size_bytes": stat.st_size,
                "rosettasciio": version("rosettasciio"),
                "acquired_utc_from": "file" if signal.acquired_utc is None else "metadata",
            }
            yield from signal.build(
                self._options, first_sequence=sequence, acquired_utc=changed_utc, source=source
            )
            sequence += signal.frames

    def _start_session(self, journal: Journal) -> None:
        options = self._options
        if self._ledger.closed:
            raise ImportConflictError(
                f"Session {options.session} of {options.instrument} is over.",
                safe="its data set is complete and unchanged.",
                next_step="import into a session of another name.",
            )
        if not self._ledger.known and options.instrument == self._settings.agent.name:
            try:
                # So that the instrument cannot use it for a measurement afterwards.
                SessionNames(self._settings.home / "agent" / "sessions.txt").take(options.session)
            except CommandRefusedError as error:
                raise self._not_ours() from error
        journal.start_session(
            SessionStarted(
                source="import",
                instrument=options.instrument,
                session=options.session,
                sample=options.sample,
                material=options.material,
            )
        )

    def _not_ours(self) -> ImportConflictError:
        return ImportConflictError(
            f"Session {self._options.session} of {self._options.instrument} holds frames of another origin.",
            safe="they are unchanged.",
            next_step="import into a session of another name.",
        )

    def _open_journal(self) -> Journal:
        if self._journal is None:
            self._journal = open_journal(self._settings)
            self._opened.callback(self._journal.close)
        return self._journal


def tell(progress: Progress | None, done: int, total: int, name: str) -> None:
    """Report progress to whoever wants to know."""
    if progress is not None:
        progress(done, total, name)
