"""One batch from here to there: task, second look, rename; after a crash, on from where it was."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from eucentric_core import EucentricError, GlobusSettings, TransferFailedError, reached

from .._mover import FarEndError, RemoteFile
from ._address import GlobusAddress, staged_name
from ._failures import task_failure
from ._ledger import StoredFile, StoredTask
from ._service import RemoteEntry
from ._source import LocalSide, Prepared
from ._tasks import TaskRunner, transfer_item
from ._wait import TaskEnd

__all__ = ["Answer", "Delivery"]

Answer = RemoteFile | EucentricError

_FEW = 4
_ROWS_BEYOND = 16
_TRIES_TO_RENAME = 3

_log = logging.getLogger(__name__)


class Delivery:
    """Delivers batches to one far end. Steps that were done before a crash are not done again.

    1. the task is written down, 2. submitted, 3. ended, 4. its files are seen under their hidden names with
    their sizes (`landed`), 5. renamed, 6. seen under their names, 7. forgotten.
    """

    def __init__(
        self, runner: TaskRunner, address: GlobusAddress, settings: GlobusSettings, local: LocalSide
    ) -> None:
        self._runner = runner
        self._service = runner.service
        self._ledger = runner.ledger
        self._address = address
        self._settings = settings
        self._local = local
        self._folders: set[str] = set()

    def deliver(self, ready: Sequence[Prepared]) -> dict[str, Answer]:
        """Send prepared files by one task; what became of each."""
        files = [
            StoredFile(file.name, file.size_bytes, file.sha256, None if file.copy is None else str(file.copy))
            for file in ready
        ]
        source = self._settings.source_collection or ""
        items = [
            transfer_item(
                file.path,
                self._address.path(file.name, staged=True),
                file.checksum,
                self._settings.checksum,
            )
            for file in ready
        ]
        try:
            self._make_folders(file.name for file in files)
            stored, task_id = self._runner.transfer("put", (source, self._address.collection), items, files)
        except EucentricError as error:
            # A task that may have been submitted is taken up again, and needs its copies then.
            kept = {file.copy for task in self._ledger.unsettled("put") for file in task.files}
            self._discard(file for file in files if file.copy not in kept)
            return {file.name: error for file in files}
        return self._follow(stored, task_id)

    def take_up(self, names: Iterable[str]) -> dict[str, Answer]:
        """Finish what a killed process had under way with any of these names.

        Raises:
            FarEndError: it cannot be known yet how that ended.
        """
        wanted = set(names)
        found: dict[str, Answer] = {}
        for stored in self._ledger.unsettled("put", str(self._address)):
            if wanted.isdisjoint(file.name for file in stored.files):
                continue
            _log.warning("taking up again what was sent before: submission %s", stored.submission_id)
            try:
                answers = self._follow(stored, self._runner.submit(stored))
            except FarEndError:
                raise
            except TransferFailedError as error:
                # Refused, its deadline has passed for example: it was forgotten and is sent anew.
                _log.warning("a task that was written down is not accepted any more: %s", error.what)
                self._discard(stored.files)
                continue
            undecided = next((e for e in answers.values() if isinstance(e, FarEndError)), None)
            if undecided is not None and self._is_known(stored):
                raise undecided
            found |= answers
        return found

    def _is_known(self, stored: StoredTask) -> bool:
        known = self._ledger.unsettled("put", str(self._address))
        return stored.submission_id in {task.submission_id for task in known}

    def _follow(self, stored: StoredTask, task_id: str) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        try:
            arrived: Sequence[StoredFile] = stored.files
            if not stored.landed:
                ended = self._runner.wait(stored, task_id)
                arrived, answers = self._look(stored, task_id, ended)
                # From here on a hidden name that is missing means that it was renamed before a crash.
                if len(arrived) == len(stored.files):
                    self._ledger.ended(stored.submission_id, landed=True)
            reached("globus put: seen under their hidden names")
            answers |= self._rename(task_id, arrived)
            reached("globus put: seen under their names, not settled")
        except EucentricError as error:
            answers |= {file.name: error for file in stored.files if file.name not in answers}
            if self._is_known(stored):
                return answers
        else:
            self._ledger.forget(stored.submission_id)
        reached("globus put: settled, copies not removed")
        self._discard(stored.files)
        return answers

    def _look(
        self, stored: StoredTask, task_id: str, ended: TaskEnd
    ) -> tuple[list[StoredFile], dict[str, Answer]]:
        """Which files are there, whole, whatever the task says; an error for each of the others."""
        said = _by_last_part(self._service.arrived(task_id, limit=len(stored.files) + _ROWS_BEYOND))
        sizes = self._sizes([staged_name(file.name) for file in stored.files])
        arrived: list[StoredFile] = []
        answers: dict[str, Answer] = {}
        report = ended.report
        for file in stored.files:
            staged = f"/{staged_name(file.name)}"
            # A base like /~/ may be spelt out there.
            listed = any(path.endswith(staged) for path in said.get(staged.rpartition("/")[2], ()))
            size_bytes = sizes.get(staged_name(file.name))
            if listed and size_bytes == file.size_bytes:
                arrived.append(file)
            elif report.succeeded:
                answers[file.name] = _lie(task_id, file, listed, size_bytes)
            else:
                answers[file.name] = task_failure(task_id, report.code, report.description, ended.events)
        for answer in answers.values():
            if report.succeeded:
                _log.error("%s", answer)
        return arrived, answers

    def _rename(self, task_id: str, files: Sequence[StoredFile]) -> dict[str, Answer]:
        renamed: set[str] = set()
        for file in files:
            if self._rename_one(file):
                renamed.add(file.name)
            reached("globus put: renamed")
        sizes = self._sizes([file.name for file in files])
        answers: dict[str, Answer] = {}
        for file in files:
            # Whoever reads there may have taken it away by now: it had been seen whole, and got its name.
            taken = file.name in renamed and file.name not in sizes
            if taken or sizes.get(file.name) == file.size_bytes:
                answers[file.name] = RemoteFile(
                    name=file.name, size_bytes=file.size_bytes, sha256=file.sha256
                )
            else:
                answers[file.name] = _lie(task_id, file, True, sizes.get(file.name))
        return answers

    def _rename_one(self, file: StoredFile) -> bool:
        """Give a file its name; whether it got it just now and not before a crash."""
        old, new = self._address.path(file.name, staged=True), self._address.path(file.name)
        for _ in range(_TRIES_TO_RENAME):
            outcome = self._service.rename(self._address.collection, old, new)
            if outcome != "exists":
                # `missing`: it was renamed already; the look that follows says whether it is there.
                return outcome == "renamed"
            # Not every server replaces a file by renaming another over it.
            self.delete(file.name)
        raise TransferFailedError(
            f"{file.name} has arrived, but the collection does not let it have its name.",
            safe=f"it lies there whole as {staged_name(file.name)}; the source is kept.",
            next_step="let this identity delete and rename in that folder.",
        )

    def delete(self, name: str) -> None:
        """Delete a file at the far end.

        Raises:
            TransferFailedError: it is still there.
        """
        ended = self._runner.delete(self._address.path(name))
        report = ended.report
        if not report.succeeded or self._sizes([name]):
            raise TransferFailedError(
                f"{name} could not be deleted at the far end ({report.code}: {report.description[:200]}).",
                safe="it lies there as it was.",
                next_step="let this identity delete in that folder.",
                globus_code=report.code,
            )

    def _sizes(self, names: Sequence[str]) -> dict[str, int]:
        """Sizes of files at the far end: a few are asked for one by one, many by listing their folders."""
        collection = self._address.collection
        found: dict[str, int] = {}
        if len(names) <= _FEW:
            for name in names:
                entry = self._service.stat(collection, self._place(name))
                if entry is not None and entry.is_file:
                    found[name] = entry.size_bytes
            return found
        listings: dict[str, dict[str, RemoteEntry]] = {}
        for name in names:
            folder, _, last = name.rpartition("/")
            if folder not in listings:
                place = self._place(folder) if folder else self._address.base
                listings[folder] = {entry.name: entry for entry in self._service.ls(collection, place)}
            entry = listings[folder].get(last)
            if entry is not None and entry.is_file:
                found[name] = entry.size_bytes
        return found

    def _place(self, name: str) -> str:
        # Hidden names are ours, made from checked ones.
        return f"{self._address.base.rstrip('/')}/{name}"

    def _make_folders(self, names: Iterable[str]) -> None:
        """Make the folders of names, which must be there before the task begins."""
        for folder in sorted({name.rpartition("/")[0] for name in names} - self._folders - {""}):
            self._make_folder(folder)
            self._folders.add(folder)

    def _make_folder(self, folder: str) -> None:
        path = self._place(folder)
        if self._service.mkdir(self._address.collection, path):
            return
        above = folder.rpartition("/")[0]
        if above:
            self._make_folder(above)
        # The base itself is not made: a wrong address must fail, not begin a new tree.
        if not above or not self._service.mkdir(self._address.collection, path):
            raise FarEndError(
                f"There is no folder {self._address.base} in the collection {self._address.collection}.",
                safe="the source is kept; nothing was submitted.",
                next_step="make the folder, or correct the address.",
                reason="collection",
            )

    def _discard(self, files: Iterable[StoredFile]) -> None:
        for file in files:
            self._local.discard(file.copy)


def _by_last_part(paths: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(path.rpartition("/")[2], []).append(path)
    return found


def _lie(task_id: str, file: StoredFile, listed: bool, size_bytes: int | None) -> TransferFailedError:
    found = "it is not there" if size_bytes is None else f"{size_bytes} bytes are there"
    if size_bytes == file.size_bytes:
        found = "the task does not list it among what it moved"
    return TransferFailedError(
        f"Globus task {task_id} says SUCCEEDED, but not for {file.name} ({file.size_bytes} bytes): {found}.",
        safe="the source is kept, and nothing appeared under the name.",
        next_step="see the task on app.globus.org/activity, and that nobody else writes into that folder; "
        "it is tried again.",
        task_id=task_id,
        globus_code="SUCCEEDED",
        listed=listed,
        expected_bytes=file.size_bytes,
        found_bytes=size_bytes,
    )
