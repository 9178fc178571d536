"""What only Globus has: batches as tasks, a few at a time, and local files as paths of a collection.

The real globus-sdk speaks to an emulator (tests/servers/globus.py, SIMULATED) that moves the files.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from globus_sdk import TransferData

from eucentric_core import (
    ConfigurationError,
    GlobusSettings,
    TransferFailedError,
    TransportError,
)
from eucentric_transfer import FarEndError, MoverOptions, Outgoing, open_mover
from eucentric_transfer.globus import GlobusAddress, _service
from eucentric_transfer.globus._source import LocalSide

from .globus_batches import all_arrived, batch, item_of_nothing, wait_until
from .globus_site import Site


@pytest.fixture
def site(globus_far_end: Site) -> Site:
    return globus_far_end


# One task for a batch, and a few at a time.


def test_a_batch_is_one_task_that_the_service_confirms_by_our_hash(site: Site) -> None:
    files = batch(60)
    assert all_arrived(site.mover().put_many(files))
    (task,) = site.emulator.tasks.of_kind("transfer")[-1:]
    assert site.transfers() == 1
    order = task.order
    assert (order["verify_checksum"], order["encrypt_data"], order["fail_on_quota_errors"]) == (
        True,
        True,
        True,
    )
    assert [order[f"notify_on_{what}"] for what in ("succeeded", "failed", "inactive")] == [False] * 3
    first = order["DATA"][0]
    assert first["external_checksum"] == files[0].sha256
    assert first["checksum_algorithm"] == "SHA256"
    assert first["destination_path"] == "/base/incoming/.000.h5.part"
    assert set(site.files()) == {file.name for file in files}
    assert site.staged() == []


def test_our_document_is_the_one_globus_sdk_would_write(site: Site) -> None:
    site.mover().put_many(batch(2))
    ours = dict(site.emulator.tasks.of_kind("transfer")[-1].order)
    theirs = TransferData(
        site.near_id,
        site.far_id,
        label=ours["label"],
        submission_id=ours["submission_id"],
        deadline=ours["deadline"],
        verify_checksum=True,
        encrypt_data=True,
        fail_on_quota_errors=True,
        skip_source_errors=False,
        notify_on_succeeded=False,
        notify_on_failed=False,
        notify_on_inactive=False,
    )
    for item in ours["DATA"]:
        theirs.add_item(
            item["source_path"],
            item["destination_path"],
            external_checksum=item["external_checksum"],
            checksum_algorithm=item["checksum_algorithm"],
        )
    assert ours == without_what_is_missing(dict(theirs))


def without_what_is_missing(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: without_what_is_missing(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if type(inner).__name__ != "MissingType"}
    return [without_what_is_missing(inner) for inner in value] if isinstance(value, list) else value


def test_a_batch_that_is_too_long_becomes_several_tasks_and_a_few_run_at_a_time(site: Site) -> None:
    site.change(max_files_per_task=2, max_active_tasks=2)
    site.emulator.faults.seconds_per_chunk = 0.05
    site.emulator.tasks.most_worked_on = 0
    assert all_arrived(site.mover().put_many(batch(10)))
    assert site.transfers() == 5
    assert site.emulator.tasks.most_worked_on == 2


def test_tasks_of_all_movers_of_a_machine_are_counted_together(site: Site) -> None:
    site.change(max_active_tasks=1)
    site.emulator.faults.seconds_per_chunk = 0.05
    site.emulator.tasks.most_worked_on = 0
    movers = [site.mover() for _ in range(3)]
    files = batch(3)
    threads = [
        threading.Thread(target=mover.put_many, args=([file],))
        for mover, file in zip(movers, files, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(site.files()) == 3
    assert site.emulator.tasks.most_worked_on == 1


def test_a_place_that_nobody_uses_any_more_is_free_again(site: Site) -> None:
    site.change(max_active_tasks=1)
    mover = site.mover()
    # As if a process had been killed while it fetched something: its task has ended since.
    stored, _ = mover._runner.transfer("fetch", (site.far_id, site.near_id), [item_of_nothing()])
    wait_until(lambda: site.emulator.tasks.of_kind("transfer")[-1].status == "FAILED")
    assert [task.submission_id for task in mover._ledger.active()] == [stored.submission_id]
    assert all_arrived(mover.put_many(batch(1)))


def test_what_waits_behind_somebody_elses_tasks_arrives_after_them(site: Site) -> None:
    hog = site.mover()
    site.emulator.faults.stall = True
    for _ in range(3):
        order = {
            "source_endpoint": site.near_id,
            "destination_endpoint": site.far_id,
            "DATA": [item_of_nothing()],
            "submission_id": hog._service.submission_id(),
        }
        hog._service.submit("transfer", order)
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(site.mover().put_many(batch(2))))
    thread.start()
    wait_until(lambda: site.transfers() == 4)
    ours = site.emulator.tasks.of_kind("transfer")[-1]
    assert ours.document()["nice_status"] == "Queued"
    site.emulator.faults.stall = False
    thread.join()
    assert all_arrived(answers[0])


def test_of_two_files_of_one_name_the_later_stays(site: Site) -> None:
    answers = site.mover().put_many([Outgoing(b"early", "a.json"), Outgoing(b"late", "a.json")])
    assert all_arrived(answers)
    assert site.files() == {"a.json": b"late"}


def test_documents_are_read_by_one_listing_and_one_task(site: Site) -> None:
    for number in range(40):
        site.plant(f"receipts/{number}.json", b"%d" % number)
    names = [f"receipts/{number}.json" for number in range(0, 60, 2)]
    mover = site.mover()
    mover.size("receipts/0.json")
    del site.emulator.requests[:]
    found = mover.read_many(names, max_bytes=10)
    assert [found[name] for name in names] == [b"%d" % n if n < 40 else None for n in range(0, 60, 2)]
    assert site.transfers() == 1
    assert sum(path.endswith("/ls") for _, path in site.emulator.requests) == 1


def test_long_listings_come_in_pages(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_service, "_MAX_ENTRIES", 10)
    for number in range(25):
        site.plant(f"receipts/{number:02}.json", b"")
    site.plant("receipts/.hidden.part", b"")
    assert site.mover().list("receipts") == tuple(f"{number:02}.json" for number in range(25))
    assert site.mover().list("receipts/00.json") == ()


def test_a_server_that_replaces_files_by_renaming_needs_no_deletion(site: Site) -> None:
    site.emulator.tasks.rename_replaces = True
    deletions = len(site.emulator.tasks.of_kind("delete"))
    mover = site.mover()
    mover.put_bytes(b"old", "a.json")
    mover.put_bytes(b"new", "a.json")
    site.emulator.tasks.rename_replaces = False
    assert len(site.emulator.tasks.of_kind("delete")) == deletions
    assert site.files() == {"a.json": b"new"}


# Which local file is which path of the collection.


def test_a_file_within_the_shown_folder_is_sent_from_where_it_lies(site: Site) -> None:
    shard = site.near / "base" / "shards" / "a.h5"
    shard.parent.mkdir()
    shard.write_bytes(b"shard")
    site.mover().put(shard, "incoming/a.h5")
    (item,) = site.emulator.tasks.of_kind("transfer")[-1].order["DATA"]
    assert item["source_path"] == "/base/shards/a.h5"
    assert shard.read_bytes() == b"shard"


def test_a_link_out_of_the_shown_folder_is_copied_like_any_file_from_elsewhere(
    site: Site, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.h5"
    outside.write_bytes(b"outside")
    link = site.near / "base" / "link.h5"
    link.symlink_to(outside)
    site.mover().put(link, "incoming/a.h5")
    (item,) = site.emulator.tasks.of_kind("transfer")[-1].order["DATA"]
    assert item["source_path"].startswith("/base/globus-staging/out/")
    assert site.staged() == []
    assert outside.exists()


@pytest.mark.parametrize(("base", "path"), [("/C/eucentric", "/C/eucentric/a/b.h5"), ("/", "/a/b.h5")])
def test_the_path_of_a_file_in_its_collection(tmp_path: Path, base: str, path: str) -> None:
    assert LocalSide(tmp_path, base, "sha256").path_of(tmp_path / "a" / "b.h5") == path
    assert LocalSide(tmp_path / "a", base, "sha256").path_of(tmp_path / "b.h5") is None


def test_a_collection_that_shows_another_folder_is_said(site: Site) -> None:
    site.change(source_base="/elsewhere")
    with pytest.raises(TransferFailedError, match="FILE_NOT_FOUND") as caught:
        site.mover().put_bytes(b"x", "a.json")
    assert "source_base" in caught.value.next_step


@pytest.mark.parametrize(
    "url",
    [
        "globus://tutorial/path",
        "globus:///path",
        "globus://6c54cade-bde5-45c1-bdea-f4bd71dba2cc/a/../b",
        "globus://6c54cade-bde5-45c1-bdea-f4bd71dba2cc/a/%2e%2e/b",
        "globus://6c54cade-bde5-45c1-bdea-f4bd71dba2cc/a//b",
        "globus://6c54cade-bde5-45c1-bdea-f4bd71dba2cc/a%0ab",
        "globus://user@6c54cade-bde5-45c1-bdea-f4bd71dba2cc/a",
    ],
)
def test_an_address_that_could_mean_another_folder_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no address"):
        GlobusAddress.parse(url)


def test_an_address_of_an_accounts_home() -> None:
    address = GlobusAddress.parse("globus://6C54CADE-bde5-45c1-bdea-f4bd71dba2cc/~/data/")
    assert address.path("incoming/a.h5") == "/~/data/incoming/a.h5"
    assert str(address) == "globus://6c54cade-bde5-45c1-bdea-f4bd71dba2cc/~/data"


def test_without_settings_nothing_is_opened() -> None:
    with pytest.raises(ConfigurationError, match="which collection"):
        open_mover("globus://6c54cade-bde5-45c1-bdea-f4bd71dba2cc/a", options=MoverOptions())


def test_the_base_folder_itself_is_never_made(site: Site) -> None:
    site.root.rmdir()
    with pytest.raises(FarEndError, match="no folder /base"):
        site.mover().put_bytes(b"x", "incoming/a.json")
    assert not site.root.exists()
    site.root.mkdir()


def test_settings_out_of_bounds_are_refused(site: Site) -> None:
    for wrong in (
        {"max_active_tasks": 4},
        {"poll_min_s": 5, "poll_max_s": 1},
        {"receipts_min_s": 500},
        {"source_base": "C:/data"},
        {"source_base": "/a/../b"},
        {"client_id": "me"},
        {"client_secret": "x"},
    ):
        with pytest.raises(ValueError, match="validation error"):
            GlobusSettings.model_validate(wrong)


def test_one_batch_of_a_mover_at_a_time(site: Site) -> None:
    site.emulator.faults.seconds_per_chunk = 0.05
    site.emulator.tasks.most_worked_on = 0
    mover = site.mover()
    threads = [
        threading.Thread(target=mover.put_bytes, args=(b"%d" % number, "a.json")) for number in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert site.emulator.tasks.most_worked_on == 1
    assert set(site.files()) == {"a.json"}


class Closed:
    """A link whose sender is told to stop while it waits for its share."""

    def take(self, n_bytes: int, stopping: threading.Event | None = None) -> None:
        raise TransportError("Stopped.", safe="nothing was sent.", next_step="send again.")


def test_a_sender_that_is_stopped_while_it_waits_for_its_share_submits_nothing(site: Site) -> None:
    answers = site.open(MoverOptions(bandwidth=Closed())).put_many(batch(3))
    assert [type(answer) for answer in answers] == [FarEndError] * 3
    assert site.transfers() == 0
    assert site.staged() == []
