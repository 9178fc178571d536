"""The shipper deletes only what the repository holds, keeps trying, and says what is stuck."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from eucentric_core import Frame, Receipt, TransferFailed, TransferFailedError

MakeFrame = Callable[..., Frame]
WAIT_S = 20.0


@pytest.fixture
def journal(site: Any, make_frame: MakeFrame) -> Any:
    """Three sealed shards of a finished session."""
    journal = site.open_journal()
    for sequence in range(12):
        journal.append(make_frame(sequence))
    journal.stop_session("twin", "s1", frames=12)
    yield journal
    journal.close()


def local_shards(journal: Any) -> list[str]:
    return sorted(path.name for path in journal.folders.shards.glob("*.h5"))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("it did not happen")
        time.sleep(0.02)


def test_nothing_is_deleted_before_its_receipt(site: Any, journal: Any) -> None:
    shipper = site.shipper(journal)
    names = local_shards(journal)
    assert len(names) == 3
    shipper.ship_once()
    shipper.ship_once()
    assert local_shards(journal) == names
    assert shipper.status().awaiting_receipt == 3
    site.ingest()
    shipper.ship_once()
    assert local_shards(journal) == []
    assert shipper.status().confirmed == 3


def test_a_receipt_for_another_content_keeps_the_shard(site: Any, journal: Any) -> None:
    shipper = site.shipper(journal)
    shipper.ship_once()
    site.ingest()
    names = local_shards(journal)
    path = site.folders.receipts / f"{names[0]}.json"
    receipt = Receipt.model_validate_json(path.read_bytes())
    path.write_text(receipt.model_copy(update={"sha256": "0" * 64}).model_dump_json())
    with pytest.raises(TransferFailedError, match="another content"):
        shipper.ship_once()
    assert local_shards(journal) == names[:1]


def test_a_receipt_that_is_no_receipt_keeps_the_shard(site: Any, journal: Any) -> None:
    shipper = site.shipper(journal)
    shipper.ship_once()
    names = local_shards(journal)
    (site.folders.receipts / f"{names[0]}.json").write_text("{}")
    with pytest.raises(TransferFailedError, match="cannot be read"):
        shipper.ship_once()
    assert local_shards(journal) == names


def test_a_shard_that_rotted_here_is_stuck_and_the_others_go_on(site: Any, journal: Any) -> None:
    names = local_shards(journal)
    path = journal.folders.shards / names[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    site.settle(journal)
    status = site.shipper(journal).status()
    assert (status.stuck, status.confirmed) == (1, 2)
    assert local_shards(journal) == [names[1]]
    assert [event.kind for event in site.events] == ["transfer.failed"]
    with site.catalogue() as catalogue:
        (dataset,) = catalogue.datasets()
        assert (dataset.state, dataset.frames) == ("open", 8)


def test_a_shard_that_rots_on_the_way_is_quarantined_there_and_sent_again(site: Any, journal: Any) -> None:
    shipper = site.shipper(journal)
    shipper.ship_once()
    name = local_shards(journal)[0]
    arrived = site.folders.incoming / name
    content = bytearray(arrived.read_bytes())
    content[100] ^= 1
    arrived.write_bytes(content)
    site.ingest()
    assert (site.folders.quarantine / name).exists()
    with pytest.raises(TransferFailedError, match="no receipt"):
        shipper.ship_once()
    site.settle(journal)
    assert local_shards(journal) == []
    with site.catalogue() as catalogue:
        assert catalogue.count() == 12
        assert catalogue.datasets()[0].state == "complete"


def test_a_shard_that_is_refused_again_and_again_is_not_sent_for_ever(site: Any, journal: Any) -> None:
    shipper = site.shipper(journal)
    for _ in range(8):
        try:
            shipper.ship_once()
        except TransferFailedError:
            continue
        for path in site.folders.incoming.iterdir():
            path.unlink()
    assert shipper.status().stuck == 3
    assert len(local_shards(journal)) == 3


def test_an_outage_is_reported_once_and_survived(site: Any, journal: Any) -> None:
    away = site.root / "away"
    site.folders.root.rename(away)
    shipper = site.shipper(journal)
    shipper.start()
    wait_until(lambda: shipper.status().failures >= 2)
    assert shipper.status().state == "retrying"
    assert len(site.events) == 1
    assert isinstance(site.events[0], TransferFailed)
    assert len(local_shards(journal)) == 3
    away.rename(site.folders.root)
    wait_until(lambda: shipper.status().awaiting_receipt == 3)
    site.ingest()
    wait_until(lambda: shipper.status().confirmed == 3)
    shipper.stop()
    assert shipper.status().state == "stopped"
    assert local_shards(journal) == []


def test_stopping_during_an_outage_takes_no_time(site: Any, journal: Any) -> None:
    site.folders.root.rename(site.root / "away")
    shipper = site.shipper(journal)
    shipper.start()
    wait_until(lambda: shipper.status().failures >= 1)
    shipper.stop()
    assert shipper.status().state == "stopped"
