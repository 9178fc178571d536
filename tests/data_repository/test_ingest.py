"""What arrives is verified, registered once, and answered; what is wrong is set aside with its reason."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from eucentric_core import (
    DataFormatError,
    DatasetRegistered,
    Receipt,
    SentDocument,
    ServiceUnavailableError,
    ShardRegistered,
)
from eucentric_data_repository import Catalogue


def kinds(events: list[Any]) -> list[str]:
    return [event.kind for event in events]


def test_a_recording_becomes_a_data_set(repository: Any, sender: Any) -> None:
    first, second = sender.seal(range(4)), sender.seal([4, 6], index=1)
    sender.deliver(first)
    sender.deliver(second)
    sender.deliver_manifest(sender.manifest(first, second, missing=(5,)))
    events = repository.ingest()
    assert kinds(events) == ["shard.registered", "shard.registered", "dataset.registered"]
    last = events[-1]
    assert isinstance(last, DatasetRegistered)
    assert (last.dataset_id, last.frames, last.missing, last.material) == ("twin.s1", 6, 1, "mos2")
    with repository.catalogue() as catalogue:
        (dataset,) = catalogue.datasets()
        assert (dataset.state, dataset.frames, dataset.shards, dataset.missing) == ("complete", 6, 2, 1)
        assert [f.header.sequence for f in catalogue.frames("s1", "haadf")] == [0, 1, 2, 3, 4, 6]
        assert [float(f.array[0, 0]) for f in catalogue.frames("s1", "haadf", from_sequence=3, limit=2)] == [
            3,
            4,
        ]
        assert [entry.shard for entry in catalogue.shards(session="s1", from_sequence=4)] == [second]
        assert catalogue.count() == catalogue.count(session="s1") == 6
        assert catalogue.count(session="s2") == 0
    assert list(repository.folders.incoming.iterdir()) == []


def test_the_receipt_names_what_was_received(repository: Any, sender: Any) -> None:
    shard = sender.seal(range(4))
    sender.deliver(shard)
    repository.ingest()
    path = repository.folders.receipts / f"{shard.file_name}.json"
    receipt = Receipt.model_validate_json(path.read_bytes())
    assert (receipt.sha256, receipt.size_bytes) == (shard.sha256, shard.size_bytes)
    assert (receipt.idempotency_key, receipt.dataset_id) == (shard.idempotency_key, "twin.s1")


def test_a_manifest_has_a_receipt_for_its_very_text(repository: Any, sender: Any) -> None:
    shard = sender.seal(range(4))
    manifest = sender.manifest(shard)
    text = manifest.model_dump_json()
    sender.deliver(shard)
    name = "twin.s1.dataset.json"
    # Enclosed with its hash as agents send it, or bare as those of before did.
    for document in (SentDocument.of(text).model_dump_json(), text):
        sender.deliver_document(name, document)
        repository.ingest()
        receipt = Receipt.model_validate_json((repository.folders.receipts / name).read_bytes())
        assert (receipt.sha256, receipt.size_bytes) == (sha256(text.encode()).hexdigest(), len(text))
        assert receipt.idempotency_key == manifest.idempotency_key
    assert repository.quarantined() == []


def test_a_document_that_was_changed_on_the_way_registers_nothing(repository: Any, sender: Any) -> None:
    shard = sender.seal(range(4))
    sender.deliver(shard)
    for name, text in (
        (f"{shard.file_name}.json", shard.model_dump_json()),
        ("twin.s1.dataset.json", sender.manifest(shard).model_dump_json()),
    ):
        # It would be believed, were it not for the hash.
        changed = SentDocument.of(text).model_dump_json().replace("twin", "twim")
        sender.deliver_document(name, changed)
        assert repository.ingest() == []
        reason = (repository.folders.quarantine / f"{name}.reason.json").read_text()
        assert json.loads(reason)["code"] == "integrity"
        assert list(repository.folders.receipts.iterdir()) == []


def test_provenance_is_kept(repository: Any, sender: Any) -> None:
    sender.deliver(sender.seal(range(4)))
    repository.ingest()
    with repository.catalogue() as catalogue:
        (entry,) = catalogue.shards()
    assert entry.registered_by == "repository-1"
    assert entry.recorded_with == "eucentric 0.test"
    assert entry.registered_with.startswith("eucentric ")
    assert entry.shard.instrument == "twin"
    assert entry.registered_utc >= entry.shard.sealed_utc


def test_what_is_delivered_again_is_registered_once(repository: Any, sender: Any) -> None:
    shard = sender.seal(range(4))
    manifest = sender.manifest(shard)
    events = []
    for _ in range(3):
        sender.deliver(shard)
        sender.deliver_manifest(manifest)
        events += repository.ingest()
    assert kinds(events) == ["shard.registered", "dataset.registered"]
    with repository.catalogue() as catalogue:
        assert catalogue.count() == 4
        assert kinds([event for _, event in catalogue.events()]) == kinds(events)
    assert repository.quarantined() == []


def test_a_lost_file_is_restored_by_delivering_it_again(repository: Any, sender: Any) -> None:
    shard = sender.seal(range(4))
    sender.deliver(shard)
    repository.ingest()
    path = repository.folders.shard("twin.s1", shard.file_name)
    path.write_bytes(b"rotten")
    sender.deliver(shard)
    assert repository.ingest() == []
    with repository.catalogue() as catalogue:
        assert len(list(catalogue.frames("s1", "haadf"))) == 4


def test_a_data_set_is_complete_only_with_its_last_shard(repository: Any, sender: Any) -> None:
    first, second = sender.seal(range(4)), sender.seal(range(4, 8), index=1)
    sender.deliver_manifest(sender.manifest(first, second))
    assert repository.ingest() == []
    sender.deliver(first)
    assert kinds(repository.ingest()) == ["shard.registered"]
    sender.deliver(second)
    assert kinds(repository.ingest()) == ["shard.registered", "dataset.registered"]
    assert repository.ingest() == []


def test_a_session_without_frames_is_a_data_set_without_frames(repository: Any, sender: Any) -> None:
    sender.deliver_manifest(sender.manifest(missing=(0, 1)))
    (event,) = repository.ingest()
    assert isinstance(event, DatasetRegistered)
    assert (event.frames, event.missing) == (0, 2)


def test_files_on_their_way_are_left_alone(repository: Any, sender: Any) -> None:
    shard = sender.seal(range(4))
    incoming = repository.folders.incoming
    (incoming / f".{shard.file_name}.part").write_bytes(b"half")
    (incoming / shard.file_name).write_bytes((sender.work / shard.file_name).read_bytes())
    assert repository.ingest() == []
    assert len(list(incoming.iterdir())) == 2


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def replace_by_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


@pytest.mark.parametrize("damage", [flip, truncate, replace_by_a_link])
def test_a_damaged_shard_is_quarantined_with_its_reason_and_the_others_go_on(
    repository: Any, sender: Any, damage: Any
) -> None:
    bad, good = sender.seal(range(4)), sender.seal(range(4, 8), index=1)
    sender.deliver(bad)
    sender.deliver(good)
    damage(repository.folders.incoming / bad.file_name)
    (event,) = repository.ingest()
    assert isinstance(event, ShardRegistered)
    assert event.idempotency_key == good.idempotency_key
    assert repository.quarantined() == sorted([bad.file_name, f"{bad.file_name}.json"])
    reason = json.loads((repository.folders.quarantine / f"{bad.file_name}.reason.json").read_text())
    assert reason["code"] in ("integrity", "data_format")
    assert not (repository.folders.receipts / f"{bad.file_name}.json").exists()
    sender.deliver(bad)
    assert kinds(repository.ingest()) == ["shard.registered"]


def test_a_document_that_lies_about_its_shard_is_refused(repository: Any, sender: Any) -> None:
    shard = sender.seal(range(4))
    sender.deliver(shard)
    for change in ({"frames": 5}, {"last_sequence": 9}, {"simulated": False}, {"streams": ("eels",)}):
        lie = shard.model_copy(update=change)
        sender.deliver(shard)
        sender.deliver_document(f"{shard.file_name}.json", lie.model_dump_json())
        assert repository.ingest() == []
    assert len(repository.quarantined()) == 8
    with repository.catalogue() as catalogue:
        assert catalogue.count() == 0


def test_the_same_acquisitions_with_another_content_are_not_doubled(repository: Any, sender: Any) -> None:
    sender.deliver(sender.seal(range(4)))
    repository.ingest()
    other = sender.seal([3, 4], index=1, value=0.5)
    sender.deliver(other)
    assert repository.ingest() == []
    assert other.file_name in repository.quarantined()
    with repository.catalogue() as catalogue:
        assert catalogue.count() == 4


def test_two_origins_cannot_share_a_data_set(repository: Any, sender: Any) -> None:
    sender.deliver(sender.seal(range(2), instrument="a.b", session="c"))
    repository.ingest()
    sender.deliver(sender.seal(range(2, 4), instrument="a", session="b.c"))
    assert repository.ingest() == []
    assert len(repository.quarantined()) == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.json", "{}"),
        ("x.json", "not json"),
        ("x.h5.json", '{"instrument": "../../etc", "session": "s1"}'),
        ("x.dataset.json", "[]"),
        ("a b;rm.json", "{}"),
        ("\u2024\u2024.json", "{}"),
        ("y" * 245 + ".json", "{}"),
        ("CON.json", "{}"),
    ],
)
def test_a_stray_document_is_set_aside_and_the_rest_goes_on(
    repository: Any, sender: Any, name: str, text: str
) -> None:
    sender.deliver_document(name, text)
    sender.deliver(sender.seal(range(4)))
    assert kinds(repository.ingest()) == ["shard.registered"]
    assert len(repository.quarantined()) == 1
    assert list(repository.folders.incoming.iterdir()) == []
    beside = sorted(path.name for path in repository.folders.root.parent.iterdir())
    assert [name for name in beside if name != "database-password"] == ["agent", "repository"]


def test_names_that_would_leave_the_root_are_refused_by_the_models(repository: Any, sender: Any) -> None:
    shard = sender.seal(range(4))
    for hostile in ("../s1", "/s1", "a/b", "a\\b", "a\x00b", "..", "", "a\nb", "a" * 101):
        lie = shard.model_copy(update={"session": hostile})
        sender.deliver_document("x.json", lie.model_dump_json())
        assert repository.ingest() == []
    assert len(repository.quarantined()) == 9
    assert list(repository.folders.shards.iterdir()) == []


def test_an_announced_shard_that_never_came_is_not_waited_for(repository: Any, sender: Any) -> None:
    shard = sender.seal(range(4))
    sender.deliver_document(f"{shard.file_name}.json", shard.model_dump_json())
    assert repository.ingest() == []
    assert repository.quarantined() == [f"{shard.file_name}.json"]


def test_a_missing_file_is_a_typed_error_when_its_frames_are_read(repository: Any, sender: Any) -> None:
    shard = sender.seal(range(4))
    sender.deliver(shard)
    repository.ingest()
    repository.folders.shard("twin.s1", shard.file_name).unlink()
    with repository.catalogue() as catalogue, pytest.raises(DataFormatError, match="missing"):
        list(catalogue.frames("s1", "haadf"))


def test_events_leave_the_outbox_once(repository: Any, sender: Any) -> None:
    sender.deliver(sender.seal(range(4)))
    (event,) = repository.ingest()
    registrar = repository.registrar()
    ((position, due),) = registrar.unpublished()
    assert due == event
    registrar.mark_published(position)
    assert registrar.unpublished() == []
    registrar.close()
    with repository.catalogue() as catalogue:
        assert catalogue.events() == [(position, event)]
        assert catalogue.events(after=position) == []


def test_a_catalogue_that_is_not_there_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailableError, match="cannot be read"):
        Catalogue(tmp_path / "catalogue.sqlite")
