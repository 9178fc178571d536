"""What agents ship to a far end that is not mounted is fetched, registered, answered, then removed there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eucentric_core import ManagedProcess, Receipt, S3Settings, Settings, TransferFailedError
from eucentric_core.transport import PyroControlClient, find_free_port
from eucentric_data_repository import Database, Inbox, RepositoryFolders, RepositoryService, ingest_once
from eucentric_transfer import MoverOptions, PosixMover, open_mover

from .test_service import COMMAND, WAIT_S


@pytest.fixture
def database(repository_folders: Any) -> Database:
    """The inbox does not depend on the kind of database."""
    return Database.at(repository_folders.database)


@pytest.fixture
def far(tmp_path: Path, sender: Any) -> RepositoryFolders:
    """A far end in another folder, which the sender delivers to."""
    folders = RepositoryFolders(tmp_path / "far")
    folders.make()
    sender.folders = folders
    return folders


def look(repository: Any, inbox: Inbox) -> list[Any]:
    inbox.fetch()
    with repository.registrar() as registrar:
        events = ingest_once(repository.folders.root, registrar)
    inbox.answer()
    return events


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_lies_in_the_inbox_becomes_a_data_set(repository: Any, sender: Any, far: Any) -> None:
    shard = sender.seal(range(4))
    sender.deliver(shard)
    manifest = sender.manifest(shard)
    sender.deliver_manifest(manifest)
    inbox = Inbox(PosixMover(far.root), repository.folders)
    assert [event.kind for event in look(repository, inbox)] == ["shard.registered", "dataset.registered"]
    assert names(far.incoming) == []
    receipts = ["twin.s1.dataset.json", f"{shard.file_name}.json"]
    assert names(far.receipts) == receipts
    assert look(repository, inbox) == []
    # Its sender did not see the receipt and sends again: answered again, counted once.
    for name in receipts:
        (far.receipts / name).unlink()
    sender.deliver(shard)
    sender.deliver_manifest(manifest)
    assert look(repository, inbox) == []
    assert names(far.receipts) == receipts
    assert names(far.incoming) == []


def test_what_is_on_its_way_is_left_alone(repository: Any, sender: Any, far: Any) -> None:
    shard = sender.seal(range(4))
    PosixMover(far.root).put(sender.work / shard.file_name, f"incoming/{shard.file_name}")
    inbox = Inbox(PosixMover(far.root), repository.folders)
    assert look(repository, inbox) == []
    assert names(far.incoming) == [shard.file_name]


def test_what_is_damaged_gets_no_receipt_and_its_sender_sees_it(
    repository: Any, sender: Any, far: Any
) -> None:
    bad, good, gone = sender.seal(range(2)), sender.seal([2], index=1), sender.seal([3], index=2)
    for shard in (bad, good, gone):
        sender.deliver(shard)
    (far.incoming / bad.file_name).write_bytes(b"rotten")
    (far.incoming / gone.file_name).unlink()
    sender.deliver_document("x.json", "{}")
    sender.deliver_document("twin.s9.dataset.json", "{}")
    inbox = Inbox(PosixMover(far.root), repository.folders)
    (event,) = look(repository, inbox)
    assert event.idempotency_key == good.idempotency_key
    # Without its document the sender knows that it was refused; the file stays until a receipt.
    assert names(far.incoming) == [bad.file_name]
    assert names(far.receipts) == [f"{good.file_name}.json"]
    assert len(repository.quarantined()) == 4
    sender.deliver(bad)
    assert len(look(repository, inbox)) == 1
    assert names(far.incoming) == []


def test_a_far_end_that_is_gone_is_said_and_asked_again(repository: Any, sender: Any, far: Any) -> None:
    sender.deliver(sender.seal(range(2)))
    away = far.root.with_name("away")
    inbox = Inbox(PosixMover(far.root), repository.folders)
    far.root.rename(away)
    with pytest.raises(TransferFailedError):
        inbox.fetch()
    away.rename(far.root)
    assert len(look(repository, inbox)) == 1


def test_what_does_not_belong_in_the_inbox_is_left_there_and_holds_up_nothing(
    repository: Any, sender: Any, far: Any, caplog: pytest.LogCaptureFixture
) -> None:
    strange, huge = far.incoming / "foo bar.json", far.incoming / "huge.json"
    strange.write_bytes(b"{}")
    with huge.open("wb") as stream:
        stream.truncate((64 << 20) + 1)
    sender.deliver(sender.seal(range(2)))
    inbox = Inbox(PosixMover(far.root), repository.folders)
    assert len(look(repository, inbox)) == 1
    assert names(far.incoming) == ["foo bar.json", "huge.json"]
    assert set(inbox.left_alone) == {"foo bar.json", "huge.json"}
    # It is said once: again neither at the next look nor at the next start.
    caplog.clear()
    look(repository, inbox)
    assert caplog.text == ""
    look(repository, Inbox(PosixMover(far.root), repository.folders))
    assert len(repository.quarantined()) == 1
    strange.unlink()
    look(repository, inbox)
    assert set(inbox.left_alone) == {"huge.json"}


def test_a_document_that_cannot_be_read_holds_up_no_other(repository: Any, sender: Any, far: Any) -> None:
    sender.deliver(sender.seal(range(2)))
    # A file whose first bytes cannot be read, even by root.
    (far.incoming / "a.json").symlink_to("/proc/self/mem")
    inbox = Inbox(PosixMover(far.root), repository.folders)
    with pytest.raises(TransferFailedError, match=r"a\.json"):
        inbox.fetch()
    with repository.registrar() as registrar:
        assert len(ingest_once(repository.folders.root, registrar)) == 1


def test_a_shard_that_changed_in_the_inbox_is_left_there_and_holds_up_no_receipt(
    repository: Any, sender: Any, far: Any
) -> None:
    changed, other = sender.seal(range(2)), sender.seal([2], index=1)
    for shard in (changed, other):
        sender.deliver(shard)
    inbox = Inbox(PosixMover(far.root), repository.folders)
    inbox.fetch()
    repository.ingest()
    (far.incoming / changed.file_name).write_bytes(b"another")
    assert inbox.answer() == 2
    assert names(far.receipts) == sorted(f"{shard.file_name}.json" for shard in (changed, other))
    assert names(far.incoming) == [changed.file_name, f"{changed.file_name}.json"]
    assert list(inbox.left_alone) == [f"{changed.file_name}.json"]


def test_a_document_that_came_again_as_another_is_looked_at_again(
    repository: Any, sender: Any, far: Any
) -> None:
    shard = sender.seal(range(2))
    sender.deliver(shard)
    inbox = Inbox(PosixMover(far.root), repository.folders)
    inbox.fetch()
    repository.ingest()
    again = shard.model_copy(update={"material": "gold"})
    sender.deliver_document(f"{shard.file_name}.json", again.model_dump_json())
    assert inbox.answer() == 1
    assert inbox.fetch() == 1


def test_whatever_is_wrong_with_the_inbox_the_service_goes_on_and_says_so(
    sender: Any, far: Any, tmp_path: Path
) -> None:
    root = tmp_path / "repository"
    ports = {name: find_free_port() for name in ("control_port", "data_port")}
    settings = Settings.model_validate(
        {"home": tmp_path / "home", "repository": {"root": root, "inbox": str(far.root), **ports}}
    )
    sender.deliver(sender.seal(range(2)))
    # No name is plain that leads out of the far end.
    far.receipts.rmdir()
    far.receipts.symlink_to(tmp_path)
    service = RepositoryService(settings)
    service.start()
    try:
        service.step()
        control = PyroControlClient("127.0.0.1", ports["control_port"])
        status, ping = control.call("status", {}), control.call("ping", {})
        control.close()
        assert status["shards"] == 1
        assert ping["state"] == "failing"
        assert "symbolic link" in json.dumps(status["error"])
    finally:
        service.stop()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_service_empties_a_bucket_of_a_real_store(
    repository_folders: Any,
    sender: Any,
    tmp_path: Path,
    swift: Any,
    s3_client: Any,
    bucket: str,
    s3_credentials: Path,
) -> None:
    address, control_port, http_port = f"s3://{bucket}/lab", find_free_port(), find_free_port()
    config = tmp_path / "repository.toml"
    config.write_text(
        f"home = {json.dumps(str(tmp_path / 'home'))}\n"
        f"[s3]\nendpoint = '{swift.url}'\ncredentials = {json.dumps(str(s3_credentials))}\n"
        f"[repository]\nroot = {json.dumps(str(repository_folders.root))}\ninbox = '{address}'\n"
        f"control_port = {control_port}\ndata_port = {find_free_port()}\nhttp_port = {http_port}\n"
    )
    settings = S3Settings(endpoint=swift.url, credentials=s3_credentials)
    mover = open_mover(address, options=MoverOptions(s3=settings))
    shard = sender.seal(range(4))
    mover.put(sender.work / shard.file_name, f"incoming/{shard.file_name}", sha256=shard.sha256)
    mover.put_bytes(shard.model_dump_json().encode(), f"incoming/{shard.file_name}.json")
    s3_client.put_object(Bucket=bucket, Key="lab/incoming/foo bar.json", Body=b"{}")
    service = ManagedProcess(
        "repository", [*COMMAND, "serve", "--config", str(config)], log=tmp_path / "repository.log"
    )
    try:
        service.wait_ready((tmp_path / "home/run/repository.json").exists, timeout_s=WAIT_S)
        wait_for(lambda: mover.list("incoming") == ("foo bar.json",))
        receipt = Receipt.model_validate_json(
            mover.read_bytes(f"receipts/{shard.file_name}.json", max_bytes=10_000)
        )
        assert receipt.sha256 == shard.sha256
        control = PyroControlClient("127.0.0.1", control_port)
        status = control.call("status", {})
        control.close()
        assert (status["frames"], status["error"]) == (4, None)
        left = status["inbox_left_alone"]
        assert isinstance(left, dict)
        assert left["count"] == 1
        first = left["first"]
        assert isinstance(first, dict)
        assert list(first) == ["'foo bar.json'"]
        # The door is open in the same process.
        import httpx

        frames = httpx.get(f"http://127.0.0.1:{http_port}/datasets/twin.s1/streams/haadf/frames", timeout=20)
        assert frames.status_code == 200
    finally:
        mover.close()
        service.stop()
    assert not (tmp_path / "home/run/repository.json").exists()
