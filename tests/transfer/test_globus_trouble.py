"""A Globus that fails, lies, is away, slow or in a bad mood: said loudly, tried again, and nothing lost.

The real globus-sdk speaks to an emulator (tests/servers/globus.py, SIMULATED) that moves the files.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from eucentric_core import (
    EucentricError,
    IntegrityError,
    OutOfSpaceError,
    TransferFailedError,
)
from eucentric_transfer import FarEndError, MoverOptions, Outgoing, RemoteFile, open_mover
from eucentric_transfer.globus import _account, _tasks
from eucentric_transfer.globus._ledger import StoredFile, StoredTask
from eucentric_transfer.globus._service import TransferService

from ..servers.globus import Collection
from ..small_disk import MIB, Filler, small_disk
from .globus_batches import all_arrived, batch, item_of_nothing, sha256, wait_until
from .globus_site import Site


@pytest.fixture
def site(globus_far_end: Site) -> Site:
    return globus_far_end


@pytest.fixture
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is retried is retried soon."""
    monkeypatch.setattr(_account, "_MAX_RETRY_SLEEP_S", 0.01)


# A task that fails says why, and what to do.


@pytest.mark.parametrize(
    ("code", "kind", "step"),
    [
        ("PERMISSION_DENIED", FarEndError, "Permissions page"),
        ("NO_CREDENTIALS", FarEndError, "globus login"),
        ("QUOTA_EXCEEDED", OutOfSpaceError, "quota"),
        ("NO_SPACE_LEFT", OutOfSpaceError, "free space"),
        ("FILE_NOT_FOUND", TransferFailedError, "source_base"),
        ("ENDPOINT_ERROR", FarEndError, "collection's page"),
        ("SOMETHING_NEW", FarEndError, "app.globus.org"),
    ],
)
def test_a_failed_task_is_an_error_with_its_events(
    site: Site, code: str, kind: type[EucentricError], step: str
) -> None:
    site.emulator.faults.fail = code
    site.emulator.faults.fail_tasks = 1
    mover = site.mover()
    answers = mover.put_many(batch(3))
    task = site.emulator.tasks.of_kind("transfer")[-1]
    for answer in answers:
        assert type(answer) is kind
        assert isinstance(answer, EucentricError)
        assert (answer.details["task_id"], answer.details["globus_code"]) == (task.id, code)
        assert task.id in answer.what
        assert step in answer.next_step
        events = answer.details["events"]
        assert isinstance(events, list)
        assert [event["code"] for event in events if isinstance(event, dict)] == [code, "STARTED"]
    assert site.files() == {}
    assert site.staged() == []
    assert all_arrived(mover.put_many(batch(3)))


def test_events_are_cut_to_a_bearable_length(site: Site) -> None:
    site.emulator.faults.corrupt = 300
    site.change(deadline_s=30)
    mover = site.mover()
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.extend(mover.put_many(batch(1))))
    thread.start()
    wait_until(lambda: site.transfers() and site.emulator.tasks.of_kind("transfer")[-1].faults > 30)
    mover._service.cancel(site.emulator.tasks.of_kind("transfer")[-1].id)
    thread.join()
    assert len(answers[0].details["events"]) == 20
    assert "VERIFY_CHECKSUM" in answers[0].what


def test_what_a_failed_task_had_brought_over_is_not_sent_again(site: Site) -> None:
    files = batch(4)
    far = site.emulator.collections[site.far_id]
    far.space_bytes = 1000
    large = Outgoing(bytes(2000), "incoming/zz.h5")
    answers = site.mover().put_many([*files, large])
    assert all_arrived(answers[:4])
    assert isinstance(answers[4], OutOfSpaceError)
    assert set(site.files()) == {file.name for file in files}


def test_a_source_that_changes_after_it_was_confirmed_does_not_arrive(site: Site) -> None:
    shard = site.near / "base" / "a.h5"
    shard.write_bytes(b"as it was")
    site.emulator.faults.stall = True
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.extend(site.mover().put_many([Outgoing(shard, "incoming/a.h5")]))
    )
    thread.start()
    wait_until(site.transfers)
    shard.write_bytes(b"as it is!")
    site.emulator.faults.stall = False
    thread.join()
    assert isinstance(answers[0], TransferFailedError)
    assert answers[0].details["globus_code"] == "EXTERNAL_CHECKSUM_MISMATCH"
    assert "incoming/a.h5" not in site.files()
    # The next try sees it before anything is submitted.
    with pytest.raises(IntegrityError):
        site.mover().put(shard, "incoming/a.h5", sha256=sha256(b"as it was"))


def test_a_collection_that_may_only_be_read_is_said(site: Site) -> None:
    site.emulator.collections[site.far_id].read_only = True
    with pytest.raises(FarEndError) as caught:
        site.mover().put_bytes(b"x", "incoming/a.json")
    assert caught.value.details["reason"] == "permission"
    assert "Permissions page" in caught.value.next_step


def test_md5_where_a_collection_offers_no_sha256(site: Site) -> None:
    site.change(checksum="md5")
    site.mover().put_bytes(b"x", "a.json")
    (item,) = site.emulator.tasks.of_kind("transfer")[-1].order["DATA"]
    assert item["external_checksum"] == hashlib.md5(b"x", usedforsecurity=False).hexdigest()


def test_a_file_that_arrives_changed_once_is_sent_again_by_the_service(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.emulator.faults.corrupt = 1
    site.emulator.faults.seconds_per_chunk = 0.1
    site.mover().put_bytes(b"content", "a.json")
    assert site.files() == {"a.json": b"content"}
    assert "VERIFY_CHECKSUM" in caplog.text


# A service that says SUCCEEDED is not believed.


def test_succeeded_without_a_file_is_an_error_for_every_file(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.emulator.faults.lie_succeeded = 1
    answers = site.mover().put_many(batch(7))
    assert all(isinstance(answer, TransferFailedError) for answer in answers)
    assert all("says SUCCEEDED, but" in str(answer) and "not there" in str(answer) for answer in answers)
    assert site.files() == {}
    assert caplog.text.count("says SUCCEEDED, but") == 7


def test_succeeded_for_all_but_one(site: Site) -> None:
    site.emulator.faults.lie_last_file = 1
    answers = site.mover().put_many(batch(7))
    assert all_arrived(answers[:6])
    assert isinstance(answers[6], TransferFailedError)
    assert len(site.files()) == 6


@pytest.mark.parametrize("spelt_out", [False, True])
def test_the_account_s_home_may_be_spelt_out_in_what_was_moved(
    site: Site, spelt_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.emulator.tasks, "spells_home_out", spelt_out)
    mover = open_mover(f"globus://{site.far_id}/~/base", options=MoverOptions(globus=site.settings))
    assert all_arrived(mover.put_many(batch(6)))
    assert len(site.files()) == 6
    mover.close()


def test_a_file_that_was_there_before_does_not_cover_for_one_that_did_not_come(site: Site) -> None:
    (file,) = batch(1)
    site.plant("incoming/.000.h5.part", b"y" * 100)
    site.emulator.faults.lie_last_file = 1
    (answer,) = site.mover().put_many([file])
    assert isinstance(answer, TransferFailedError)
    assert "does not list it" in answer.what
    assert file.name not in site.files()


def test_a_size_that_is_another_is_an_error(site: Site) -> None:
    site.emulator.faults.lie_size_bytes = 1
    (answer,) = site.mover().put_many(batch(1))
    assert isinstance(answer, TransferFailedError)
    assert (answer.details["expected_bytes"], answer.details["found_bytes"]) == (100, 101)
    assert set(site.files()) <= {"incoming/.000.h5.part"}


def test_something_fetched_that_did_not_come_is_an_error(site: Site, tmp_path: Path) -> None:
    mover = site.mover()
    mover.put_bytes(b"x", "a.json")
    site.emulator.faults.lie_succeeded = 2
    with pytest.raises(TransferFailedError, match="it is not here"):
        mover.read_bytes("a.json", max_bytes=10)
    with pytest.raises(TransferFailedError, match="it is not here"):
        mover.get("a.json", tmp_path / "a.json")
    assert site.staged() == []


def test_a_deletion_that_did_not_happen_is_an_error(site: Site) -> None:
    mover = site.mover()
    mover.put_bytes(b"x", "a.json")
    site.emulator.tasks.faults.lie_succeeded = 0
    deletions = len(site.emulator.tasks.of_kind("delete"))
    site.emulator.collections[site.far_id].read_only = True
    with pytest.raises(TransferFailedError, match="could not be deleted"):
        mover.remove("a.json", sha256=sha256(b"x"))
    assert len(site.emulator.tasks.of_kind("delete")) == deletions + 1
    assert site.files() == {"a.json": b"x"}


# A service that is away, slow, or in a bad mood.


@pytest.mark.usefixtures("short_retries")
@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_an_answer_that_passes_is_asked_for_again(site: Site, status: int) -> None:
    headers = {"Retry-After": "1"} if status == 429 else {}
    site.emulator.faults.answers = [
        (path, status, headers) for path in ("submission_id", "/transfer", "/task/", "/stat", "/rename") * 2
    ]
    site.mover().put_bytes(b"x", "a.json")
    assert site.files() == {"a.json": b"x"}
    assert site.emulator.faults.answers == []
    assert site.transfers() == 1


@pytest.mark.usefixtures("short_retries")
@pytest.mark.parametrize(("status", "reason"), [(429, "rate"), (500, "service"), (503, "service")])
def test_one_that_lasts_is_an_error_after_a_few_tries(site: Site, status: int, reason: str) -> None:
    site.emulator.faults.answers = [("/submission_id", status, {})] * 50
    (answer,) = site.mover().put_many(batch(1))
    assert isinstance(answer, FarEndError)
    assert answer.details["reason"] == reason
    assert 50 - len(site.emulator.faults.answers) == 1 + _account._MAX_RETRIES


@pytest.mark.usefixtures("short_retries")
def test_a_running_task_is_waited_for_although_the_service_is_away(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.emulator.faults.answers = [("/task/", 503, {})] * 12
    site.mover().put_bytes(b"x", "a.json")
    assert site.transfers() == 1
    assert "waited for although Globus does not answer" in caplog.text
    assert "answers again" in caplog.text


@pytest.mark.usefixtures("short_retries")
def test_a_submission_whose_answer_was_lost_is_still_one_task(site: Site) -> None:
    site.emulator.faults.drop_reply = 2
    site.mover().put_bytes(b"x", "a.json")
    assert site.transfers() == 1
    assert site.files() == {"a.json": b"x"}


@pytest.mark.usefixtures("short_retries")
def test_a_submission_that_may_have_arrived_is_found_again(site: Site) -> None:
    site.emulator.faults.drop_reply = 1 + _account._MAX_RETRIES
    mover = site.mover()
    (file,) = batch(1)
    (answer,) = mover.put_many([file])
    assert isinstance(answer, FarEndError)
    assert all_arrived(mover.put_many([file]))
    assert site.transfers() == 1
    assert mover._ledger.unsettled() == ()
    assert site.staged() == []


@pytest.mark.usefixtures("short_retries")
def test_a_submission_that_may_have_arrived_keeps_what_it_needs(site: Site) -> None:
    site.emulator.faults.drop_reply = 1 + _account._MAX_RETRIES
    site.emulator.faults.stall = True
    mover = site.mover()
    (file,) = batch(1)
    assert isinstance(mover.put_many([file])[0], FarEndError)
    assert len(site.staged()) == 1
    site.emulator.faults.stall = False
    assert all_arrived(mover.put_many([file]))
    assert site.transfers() == 1
    assert site.staged() == []


def test_a_service_that_is_not_there_at_all(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_account, "_MAX_RETRY_SLEEP_S", 0.01)
    monkeypatch.setenv("GLOBUS_SDK_SERVICE_URL_TRANSFER", "http://127.0.0.1:9/")
    with pytest.raises(FarEndError, match="does not answer") as caught:
        site.mover().list("incoming")
    assert caught.value.details["reason"] == "network"


def test_a_machine_that_is_off_is_waited_for_and_said(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    near = site.emulator.collections[site.near_id]
    near.offline = True
    done = threading.Event()

    def send() -> None:
        site.mover().put_bytes(b"x", "a.json")
        done.set()

    thread = threading.Thread(target=send)
    thread.start()
    wait_until(lambda: "GC_NOT_CONNECTED" in caplog.text)
    assert not done.is_set()
    near.offline = False
    thread.join()
    assert done.is_set()


def test_a_task_that_is_paused_is_waited_for_and_said(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.emulator.faults.stall = True
    thread = threading.Thread(target=lambda: site.mover().put_bytes(b"x", "a.json"))
    thread.start()
    wait_until(site.transfers)
    task = site.emulator.tasks.of_kind("transfer")[-1]
    site.emulator.tasks.suspend(task)
    site.emulator.faults.stall = False
    wait_until(lambda: "is paused by the administrator" in caplog.text)
    task.paused = False
    thread.join()
    assert site.files() == {"a.json": b"x"}


def test_a_task_whose_credentials_expired_goes_on_after_a_new_login(site: Site) -> None:
    site.emulator.faults.stall = True
    mover = site.mover()
    answers: list[Any] = []
    (file,) = batch(1)
    thread = threading.Thread(target=lambda: answers.extend(mover.put_many([file])))
    thread.start()
    wait_until(site.transfers)
    task = site.emulator.tasks.of_kind("transfer")[-1]
    site.emulator.tasks.suspend(task, inactive=True)
    thread.join()
    assert isinstance(answers[0], FarEndError)
    assert "suspended" in answers[0].what
    assert "globus login" in answers[0].next_step
    # As long as nobody logs in, no second task is begun beside it.
    assert isinstance(mover.put_many([file])[0], FarEndError)
    assert site.transfers() == 1
    task.status = "ACTIVE"
    site.emulator.faults.stall = False
    assert all_arrived(mover.put_many([file]))
    assert site.transfers() == 1


def test_a_task_that_misses_its_deadline_is_said_to_have_expired(site: Site) -> None:
    site.change(deadline_s=1)
    site.emulator.faults.stall = True
    (answer,) = site.mover().put_many(batch(1))
    assert isinstance(answer, FarEndError)
    assert answer.details["globus_code"] == "EXPIRED"
    assert site.files() == {}


def test_a_service_that_does_not_end_a_task_is_told_to(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tasks, "_LEAST_WAIT_S", 0.1)
    site.change(deadline_s=1)
    site.emulator.faults.stall = site.emulator.faults.ignore_deadlines = True
    mover = site.mover()
    (answer,) = mover.put_many(batch(1))
    assert isinstance(answer, FarEndError)
    assert "was cancelled" in answer.what
    task = site.emulator.tasks.of_kind("transfer")[-1]
    assert task.fatal_error is not None
    assert task.fatal_error["code"] == "CANCELED"
    assert mover._ledger.unsettled() == ()
    assert site.staged() == []
    site.emulator.mend()
    site.change(deadline_s=60)
    assert all_arrived(site.mover().put_many(batch(1)))


def test_a_place_that_never_comes_free_is_an_error(site: Site) -> None:
    site.change(max_active_tasks=1)
    site.emulator.faults.stall = True
    first = site.mover()
    first._runner.transfer("fetch", (site.far_id, site.near_id), [item_of_nothing()])
    site.change(deadline_s=1)
    (answer,) = site.mover().put_many(batch(1))
    assert isinstance(answer, FarEndError)
    assert answer.details["reason"] == "queue"


def test_a_mover_that_is_stopped_leaves_its_task_to_the_next(site: Site) -> None:
    site.emulator.faults.stall = True
    stopping = threading.Event()
    mover = site.open(MoverOptions(stopping=stopping))
    answers: list[Any] = []
    files = batch(3)
    thread = threading.Thread(target=lambda: answers.extend(mover.put_many(files)))
    thread.start()
    wait_until(site.transfers)
    stopping.set()
    thread.join()
    assert {type(answer) for answer in answers} == {FarEndError}
    assert answers[0].details["reason"] == "stopped"
    site.emulator.faults.stall = False
    assert all_arrived(site.mover().put_many(files))
    assert site.transfers() == 1
    assert site.staged() == []


def test_what_was_under_way_is_not_taken_for_another_content(site: Site) -> None:
    site.emulator.faults.stall = True
    stopping = threading.Event()
    mover = site.open(MoverOptions(stopping=stopping))
    thread = threading.Thread(target=lambda: mover.put_many([Outgoing(b"old", "a.json")]))
    thread.start()
    wait_until(site.transfers)
    stopping.set()
    thread.join()
    site.emulator.faults.stall = False
    assert site.mover().put_bytes(b"new", "a.json").sha256 == sha256(b"new")
    assert site.files() == {"a.json": b"new"}


def test_files_that_are_taken_away_as_soon_as_they_have_their_names_have_arrived(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = TransferService.rename

    def and_take_away(service: TransferService, collection: str, old: str, new: str) -> Any:
        outcome = rename(service, collection, old, new)
        site.root.joinpath(*new.split("/")[2:]).unlink()
        return outcome

    monkeypatch.setattr(TransferService, "rename", and_take_away)
    assert all_arrived(site.mover().put_many(batch(6)))
    assert site.files() == {}
    assert site.transfers() == 1


def test_a_file_that_vanishes_before_it_has_its_name_is_an_error(site: Site) -> None:
    site.emulator.faults.stall = True
    stopping = threading.Event()
    mover = site.open(MoverOptions(stopping=stopping))
    (file,) = batch(1)
    thread = threading.Thread(target=lambda: mover.put_many([file]))
    thread.start()
    wait_until(site.transfers)
    stopping.set()
    thread.join()
    site.emulator.faults.stall = False
    wait_until(lambda: "incoming/.000.h5.part" in site.files())
    later = site.mover()
    (stored,) = later._ledger.unsettled("put")
    later._ledger.ended(stored.submission_id, landed=True)
    (site.root / "incoming" / ".000.h5.part").unlink()
    (answer,) = later.put_many([file])
    # It was seen there, and is gone: it is sent anew, and nobody is told that it had arrived.
    assert isinstance(answer, RemoteFile)
    assert site.transfers() == 2
    assert set(site.files()) == {file.name}


def test_what_killed_transfers_left_is_removed_after_a_while(site: Site) -> None:
    folder = site.near / "base" / "globus-staging" / "out"
    folder.mkdir(parents=True)
    for name, age_days in (("old", 40), ("new", 1), ("of-a-task", 1)):
        (folder / name).write_bytes(b"copy")
        then = time.time() - age_days * 86400
        os.utime(folder / name, (then, then))
    first = site.mover()
    forgotten = StoredTask(
        "number",
        "put",
        str(first.address),
        {},
        (StoredFile("a.json", 4, sha256(b"copy"), str(folder / "of-a-task")),),
        created_s=time.time() - 30 * 86400,
        deadline_s=86400,
    )
    assert first._ledger.store(forgotten, max_active=1)
    assert site.mover()._ledger.unsettled() == ()
    assert [path.name for path in folder.iterdir()] == ["new"]


def test_a_collection_of_connect_server_lets_a_service_in_by_itself(site: Site) -> None:
    site.emulator.collections[site.far_id] = Collection(site.far, mapped=True)
    site.mover().put_bytes(b"x", "a.json")
    assert site.files() == {"a.json": b"x"}


def test_a_disk_too_full_to_write_a_task_down_submits_nothing(site: Site, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small-disk", MIB) as disk:
        site.change(folder=disk / "globus")
        mover = site.mover()
        mover.put_bytes(b"x", "a.json")
        filler = Filler(disk)
        filler.leave(0)
        transfers = site.transfers()
        large = [Outgoing(b"x", f"incoming/{'n' * 200}{number}.json") for number in range(400)]
        answers = mover.put_many(large)
        assert {type(answer) for answer in answers} <= {OutOfSpaceError, FarEndError}
        assert site.transfers() == transfers
        assert site.staged() == []
        filler.go()
        assert all_arrived(mover.put_many(large[:3]))
