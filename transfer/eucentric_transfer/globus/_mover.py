"""The mover for a collection of Globus: one task for a batch, and no belief in what a task says."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from eucentric_core import (
    ConfigurationError,
    DataFormatError,
    EucentricError,
    OutOfSpaceError,
    TransferFailedError,
    sha256_file,
)

from .._mover import FarEndError, Outgoing, Progress, RemoteFile
from .._names import checked_name
from .._options import MoverOptions
from .._passage import Passage
from .._receive import another_content, receive
from ._account import GlobusAccount
from ._address import GlobusAddress
from ._delivery import Answer, Delivery
from ._failures import task_failure
from ._ledger import TaskLedger
from ._service import RemoteEntry, TransferService
from ._source import LocalSide, Prepared
from ._tasks import TaskRunner, transfer_item
from ._wait import Patience

__all__ = ["GlobusMover"]

_CHUNK_BYTES = 1 << 20
_KEEP_RECORDS_S = 7 * 86400.0


class GlobusMover:
    """Moves files into a collection of Globus. See `Mover`, and docs/globus.md for what each call costs.

    Files travel under a hidden name and are renamed once they are seen there with their size. Both ends'
    servers compute the content's checksum and compare it with ours; the hash that `put` returns rests on
    that, the one that `sha256` returns on the file itself, which is fetched for it.

    Args:
        address: of the far end.
        options: `globus` completed by `GlobusSettings.within`.

    Raises:
        ConfigurationError: a setting, the secret or the local folder is missing.
    """

    def __init__(self, address: GlobusAddress, options: MoverOptions) -> None:
        settings = options.globus
        if settings.source_collection is None or settings.source_root is None or settings.folder is None:
            raise ConfigurationError(
                "The settings do not say which collection shows this machine's files to Globus.",
                safe="nothing was opened.",
                next_step="set `source_collection`, `source_root` and `source_base` in the section [globus].",
            )
        self.address = address
        self._source_collection = settings.source_collection
        self._settings = settings
        self._options = options
        self._local = LocalSide(settings.source_root, settings.source_base, settings.checksum)
        self._account = GlobusAccount(settings)
        try:
            self._ledger = TaskLedger(settings.folder / "tasks.db")
        except BaseException:
            self._account.close()
            raise
        self._service = TransferService(self._account)
        patience = Patience(settings, options.stopping)
        self._runner = TaskRunner(self._service, self._ledger, settings, address, patience)
        self._delivery = Delivery(self._runner, address, settings, self._local)
        self._one_batch = threading.Lock()
        try:
            self._tidy()
        except BaseException:
            self.close()
            raise

    def _tidy(self) -> None:
        """Forget what nobody came back for."""
        self._local.tidy()
        for old in self._ledger.drop_old(keep_s=_KEEP_RECORDS_S):
            for file in old.files:
                self._local.discard(file.copy)

    def close(self) -> None:
        """See `Mover.close`."""
        self._ledger.close()
        self._account.close()

    def put(self, source: Path, name: str, *, sha256: str | None = None) -> RemoteFile:
        """See `Mover.put`."""
        return _arrived(self.put_many([Outgoing(source, name, sha256)])[0])

    def put_bytes(self, content: bytes, name: str) -> RemoteFile:
        """See `Mover.put_bytes`."""
        return _arrived(self.put_many([Outgoing(content, name)])[0])

    def put_many(self, files: Sequence[Outgoing]) -> tuple[RemoteFile | EucentricError, ...]:
        """See `Mover.put_many`. One task for all, or for each `max_files_per_task` of them."""
        answers: list[RemoteFile | EucentricError | None] = [_refusal(file.name) for file in files]
        with self._one_batch:
            while waiting := _next_round(files, answers):
                for index, answer in zip(waiting, self._send([files[i] for i in waiting]), strict=True):
                    answers[index] = answer
        return tuple(answer for answer in answers if answer is not None)

    def _send(self, files: Sequence[Outgoing]) -> list[Answer]:
        """Send files whose names are plain and differ."""
        names = [file.name for file in files]
        found: dict[str, Answer] = {}
        try:
            # What a killed process left under way comes first: two tasks must not write the same files.
            landed = self._delivery.take_up(names)
            found |= {file.name: landed[file.name] for file in files if _is_it(landed.get(file.name), file)}
            ready: list[Prepared] = []
            for file in files:
                if file.name not in found:
                    try:
                        ready.append(self._pay(self._local.prepare(file)))
                    except (FarEndError, OutOfSpaceError):
                        for prepared in ready:
                            self._local.discard(prepared.copy)
                        raise
                    except EucentricError as error:
                        found[file.name] = error
            found |= self._deliver(ready)
        except EucentricError as error:
            found |= {name: error for name in names if name not in found}
        for answer in found.values():
            if isinstance(answer, RemoteFile) and self._options.on_progress is not None:
                self._options.on_progress(Progress(answer.name, answer.size_bytes, answer.size_bytes))
        return [found[name] for name in names]

    def _deliver(self, ready: Sequence[Prepared]) -> dict[str, Answer]:
        size = self._settings.max_files_per_task
        batches = [ready[begin : begin + size] for begin in range(0, len(ready), size)]
        if len(batches) < 2:
            return self._delivery.deliver(ready) if ready else {}
        found: dict[str, Answer] = {}
        with ThreadPoolExecutor(self._settings.max_active_tasks, thread_name_prefix="globus") as pool:
            for answers in pool.map(self._delivery.deliver, batches):
                found |= answers
        return found

    def _pay(self, prepared: Prepared) -> Prepared:
        """Pay for what the collection's own server will send: it keeps to the average, not to the pace."""
        passage = Passage(
            prepared.name,
            prepared.size_bytes,
            bandwidth=self._options.bandwidth,
            stopping=self._options.stopping,
        )
        try:
            passage.go_on()
            for begin in range(0, prepared.size_bytes, _CHUNK_BYTES):
                passage.let_through(min(_CHUNK_BYTES, prepared.size_bytes - begin))
        except FarEndError:
            self._local.discard(prepared.copy)
            raise
        return prepared

    def size(self, name: str) -> int | None:
        """See `Mover.size`."""
        found = self._service.stat(self.address.collection, self.address.path(name))
        return found.size_bytes if found is not None and found.is_file else None

    def sha256(self, name: str) -> str:
        """See `Mover.sha256`. The file is fetched for it: that costs a transfer."""
        with self._fetched({name: self._expected(name)}) as paths:
            return sha256_file(paths[name])

    def read_bytes(self, name: str, *, max_bytes: int) -> bytes:
        """See `Mover.read_bytes`. One look and one task."""
        size_bytes = self._expected(name)
        _require_short(name, size_bytes, max_bytes)
        with self._fetched({name: size_bytes}) as paths:
            return paths[name].read_bytes()

    def read_many(self, names: Sequence[str], *, max_bytes: int) -> Mapping[str, bytes | None]:
        """See `Mover.read_many`. One listing for each folder, and one task for all that is there."""
        found: dict[str, bytes | None] = dict.fromkeys(names)
        there = self._sizes(found)
        for name, size_bytes in there.items():
            _require_short(name, size_bytes, max_bytes)
        present = list(there.items())
        step = self._settings.max_files_per_task
        for begin in range(0, len(present), step):
            with self._fetched(dict(present[begin : begin + step])) as paths:
                found |= {name: path.read_bytes() for name, path in paths.items()}
        return found

    def get(self, name: str, target: Path, *, sha256: str | None = None) -> RemoteFile:
        """See `Mover.get`."""
        size_bytes = self._expected(name)
        with self._fetched({name: size_bytes}) as paths, paths[name].open("rb") as stream:
            chunks = iter(lambda: stream.read(_CHUNK_BYTES), b"")
            return receive(chunks, target, name=name, size_bytes=size_bytes, sha256=sha256)

    def remove(self, name: str, *, sha256: str) -> None:
        """See `Mover.remove`. The file is fetched first, to know that it is the one."""
        if self.size(name) is None:
            return
        found = self.sha256(name)
        if found != sha256:
            raise another_content(name, expected=sha256, found=found)
        self._delivery.delete(name)

    def list(self, folder: str) -> tuple[str, ...]:
        """See `Mover.list`."""
        entries = self._service.ls(self.address.collection, self.address.path(folder))
        return tuple(sorted(entry.name for entry in entries if _is_finished(entry)))

    def _sizes(self, names: Mapping[str, object]) -> dict[str, int]:
        folders: dict[str, set[str]] = {}
        for name in names:
            checked_name(name)
            folder, _, last = name.rpartition("/")
            folders.setdefault(folder, set()).add(last)
        found: dict[str, int] = {}
        for folder, wanted in folders.items():
            path = self.address.path(folder) if folder else self.address.base
            for entry in self._service.ls(self.address.collection, path):
                if entry.name in wanted and entry.is_file:
                    found[f"{folder}/{entry.name}" if folder else entry.name] = entry.size_bytes
        return found

    def _expected(self, name: str) -> int:
        size_bytes = self.size(name)
        if size_bytes is None:
            raise TransferFailedError(
                f"There is no {name} in {self.address}.",
                safe="nothing was changed.",
                next_step="check the name; it may not have arrived yet.",
            )
        return size_bytes

    @contextmanager
    def _fetched(self, sizes: Mapping[str, int]) -> Iterator[dict[str, Path]]:
        """Bring files here, into a folder that is gone afterwards."""
        if not sizes:
            yield {}
            return
        with self._local.landing(sum(sizes.values())) as (folder, path):
            places = {name: folder / str(index) for index, name in enumerate(sizes)}
            items = [
                transfer_item(self.address.path(name), f"{path}/{place.name}", None, self._settings.checksum)
                for name, place in places.items()
            ]
            ends = (self.address.collection, self._source_collection)
            stored, task_id = self._runner.transfer("fetch", ends, items)
            ended = self._runner.finish(stored, task_id)
            report = ended.report
            if not report.succeeded:
                raise task_failure(
                    task_id, report.code, report.description, ended.events, safe="nothing was changed."
                )
            for name, place in places.items():
                size_bytes = place.stat().st_size if place.is_file() else None
                if size_bytes != sizes[name]:
                    raise _not_here(task_id, name, size_bytes, sizes[name])
            yield places


def _arrived(answer: RemoteFile | EucentricError) -> RemoteFile:
    if isinstance(answer, EucentricError):
        raise answer
    return answer


def _refusal(name: str) -> DataFormatError | None:
    try:
        checked_name(name)
    except DataFormatError as error:
        return error
    return None


def _next_round(files: Sequence[Outgoing], answers: Sequence[object]) -> list[int]:
    """What can be sent together: of files of one name, the next."""
    chosen: dict[str, int] = {}
    for index, file in enumerate(files):
        if answers[index] is None:
            chosen.setdefault(file.name, index)
    return sorted(chosen.values())


def _is_it(landed: Answer | None, file: Outgoing) -> bool:
    """Whether what a killed process had under way is this file."""
    if not isinstance(landed, RemoteFile):
        return False
    if isinstance(file.source, bytes):
        content = hashlib.sha256(file.source).hexdigest()
        return landed.sha256 == content and file.sha256 in (None, content)
    try:
        return landed.sha256 == (file.sha256 or sha256_file(file.source))
    except OSError:
        # It is an error of its own, said when it is prepared.
        return False


def _is_finished(entry: RemoteEntry) -> bool:
    return entry.is_file and not entry.name.startswith(".")


def _require_short(name: str, size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise DataFormatError(
            f"{name} is longer than {max_bytes} bytes.",
            safe="it was not used.",
            next_step="check who wrote it.",
        )


def _not_here(task_id: str, name: str, found: int | None, expected: int) -> TransferFailedError:
    there = "it is not here" if found is None else f"{found} bytes are here"
    return TransferFailedError(
        f"Globus task {task_id} says it brought {name} ({expected} bytes), but {there}.",
        safe="nothing was changed.",
        next_step="check that the source collection shows `globus.source_root` as `globus.source_base`.",
        task_id=task_id,
    )
