"""The shipper deletes only what the repository holds, keeps trying, and says what is stuck."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from eucentric_agents.data._service import require_running
from eucentric_agents.recording import JournalError, Recorder, Shipper, ShipperStatus, ShippingMeter
from eucentric_agents.recording._batches import next_pause_s
from eucentric_core import (
    EucentricError,
    Frame,
    Receipt,
    ServiceUnavailableError,
    TransferFailed,
    TransferFailedError,
    TransferRecovered,
)
from eucentric_core.transport import find_free_port
from eucentric_transfer import FarEndError, MoverOptions, Outgoing, PosixMover, Progress, RemoteFile

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


def record(journal: Any, make_frame: MakeFrame, session: str) -> None:
    """One more shard, of a session of its own."""
    for sequence in range(4):
        journal.append(make_frame(sequence, session=session))
    journal.stop_session("twin", session, frames=4)


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


def test_what_is_refused_again_and_again_is_not_sent_for_ever(site: Any, journal: Any) -> None:
    shipper = site.shipper(journal)
    for _ in range(8):
        try:
            shipper.ship_once()
        except TransferFailedError:
            continue
        for path in site.folders.incoming.iterdir():
            path.unlink()
    assert {entry.kind for entry in shipper.stuck()} == {"shard", "dataset"}
    assert shipper.status().stuck == 4
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


class Troubled(PosixMover):
    """A folder whose far end fails, or does not tell the truth, about chosen files."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.failing: set[str] = set()
        self.lying: set[str] = set()
        self.silent = False
        self.put_names: list[list[str]] = []

    def put_many(self, files: Sequence[Outgoing]) -> tuple[RemoteFile | EucentricError, ...]:
        self.put_names.append([file.name for file in files])
        return tuple(self._answer(file) for file in files)

    def _answer(self, file: Outgoing) -> RemoteFile | EucentricError:
        name = file.name.removeprefix("incoming/")
        if self.silent:
            return FarEndError("Nobody answers.", safe="kept.", next_step="wait.")
        if name in self.failing:
            return TransferFailedError("500 Internal Error.", safe="kept.", next_step="wait.")
        if name in self.lying:
            # It says that it has it, and has not.
            return RemoteFile(name=file.name, size_bytes=1, sha256="0" * 64)
        return super().put_many([file])[0]


def troubled(site: Any, journal: Any) -> tuple[Troubled, Shipper]:
    mover = Troubled(site.folders.root)
    return mover, Shipper(journal, mover, publish=site.events.append, poll_s=0.02, max_wait_s=0.05)


def test_shards_of_a_batch_go_before_their_documents(site: Any, journal: Any) -> None:
    mover, shipper = troubled(site, journal)
    shipper.ship_once()
    shards, documents = mover.put_names
    assert [name.removeprefix("incoming/") for name in shards] == [
        entry.name for entry in journal.ledger.outbox("delivered") if entry.kind == "shard"
    ]
    assert documents[:3] == [f"{name}.json" for name in shards]
    assert documents[3] == "incoming/twin.s1.dataset.json"


def test_one_shard_that_the_far_end_will_not_take_is_stuck_with_its_reason_and_the_rest_flows(
    site: Any, journal: Any, make_frame: MakeFrame
) -> None:
    mover, shipper = troubled(site, journal)
    bad = local_shards(journal)[1]
    mover.failing = {bad}
    for n in range(5):
        # Something else arrives with every try: only then is it this shard's fault.
        assert shipper.stuck() == ()
        with pytest.raises(TransferFailedError) if n < 4 else nullcontext():
            shipper.ship_once()
        record(journal, make_frame, f"more-{n}")
        site.ingest()
    (stuck,) = shipper.stuck()
    assert (stuck.name, stuck.failures) == (bad, 5)
    assert stuck.error is not None
    assert "500" in stuck.error.what
    assert [event.error.what for event in site.events] == ["500 Internal Error."]
    mover.failing.clear()
    for _ in range(2):
        shipper.ship_once()
        site.ingest()
    shipper.ship_once()
    assert local_shards(journal) == [bad]
    assert shipper.retry_stuck("no-such-shard") == ()
    assert shipper.retry_stuck(bad) == (bad,)
    site.settle(journal)
    assert local_shards(journal) == []
    assert shipper.stuck() == ()


def test_when_nothing_arrives_no_shard_is_blamed(site: Any, journal: Any) -> None:
    mover, shipper = troubled(site, journal)
    mover.failing = set(local_shards(journal))
    mover.failing |= {f"{name}.json" for name in mover.failing} | {"twin.s1.dataset.json"}
    for _ in range(8):
        with pytest.raises(TransferFailedError):
            shipper.ship_once()
    mover.failing, mover.silent = set(), True
    for _ in range(8):
        with pytest.raises(FarEndError):
            shipper.ship_once()
    assert shipper.stuck() == ()
    mover.silent = False
    site.settle(journal)
    assert local_shards(journal) == []


def test_a_far_end_that_says_it_holds_another_content_does_not_hold_it(site: Any, journal: Any) -> None:
    mover, shipper = troubled(site, journal)
    liar = local_shards(journal)[0]
    mover.lying = {liar}
    with pytest.raises(TransferFailedError, match="another content"):
        shipper.ship_once()
    assert not (site.folders.incoming / f"{liar}.json").exists()
    assert shipper.status().awaiting_receipt == 2
    site.ingest()
    with pytest.raises(TransferFailedError):
        shipper.ship_once()
    assert local_shards(journal) == [liar]


def test_a_receipt_that_stays_wrong_makes_its_shard_stuck_and_the_others_go(site: Any, journal: Any) -> None:
    shipper = site.shipper(journal)
    shipper.ship_once()
    site.ingest()
    names = local_shards(journal)
    (site.folders.receipts / f"{names[0]}.json").write_bytes(b"x" * 100_000)
    for n in range(3):
        with pytest.raises(EucentricError) if n < 2 else nullcontext():
            shipper.ship_once()
    assert [entry.name for entry in shipper.stuck()] == names[:1]
    assert local_shards(journal) == names[:1]


def test_an_outage_and_its_end_are_told_once(site: Any, journal: Any) -> None:
    mover, shipper = troubled(site, journal)
    mover.silent = True
    shipper.start()
    wait_until(lambda: shipper.status().failures >= 4)
    assert shipper.status().outage_s is not None
    mover.silent = False
    wait_until(lambda: shipper.status().awaiting_receipt == 3 and shipper.status().state == "idle")
    wait_until(lambda: len(site.events) == 2)
    shipper.stop()
    failed, recovered = site.events
    assert isinstance(failed, TransferFailed)
    assert isinstance(recovered, TransferRecovered)
    assert shipper.status().outage_s is None
    assert shipper.status().last_success_utc is not None


def test_progress_is_shown_while_a_shard_is_on_its_way(site: Any, journal: Any) -> None:
    seen: list[ShipperStatus] = []

    class Watched(ShippingMeter):
        def seen(self, progress: Progress) -> None:
            super().seen(progress)
            seen.append(shipper.status())

    meter = Watched()
    mover = PosixMover(site.folders.root, MoverOptions(on_progress=meter.seen))
    shipper = Shipper(journal, mover, publish=site.events.append, meter=meter)
    shipper.ship_once()
    sizes = {f"incoming/{path.name}": path.stat().st_size for path in journal.folders.shards.glob("*.h5")}
    shown = {status.sending: (status.sent_bytes, status.sending_bytes) for status in seen}
    assert {name: shown[name] for name in sizes} == {name: (size, size) for name, size in sizes.items()}
    assert shipper.status().sending is None


def test_a_meter_tells_the_rate_and_counts_what_is_sent_twice_once_more() -> None:
    meter = ShippingMeter()
    for sent in (100, 200, 100, 300):
        meter.seen(Progress("a", sent, 300))
    reading = meter.read()
    assert (reading.name, reading.sent_bytes, reading.size_bytes) == ("a", 300, 300)
    meter.rest()
    assert meter.read().name is None


def test_a_far_end_is_looked_at_less_and_less_while_nothing_comes() -> None:
    pauses_s = [0.5]
    for moved in (False, False, False, False, True):
        pauses_s.append(next_pause_s(pauses_s[-1], moved=moved, poll_s=0.5, idle_s=3.0))
    assert pauses_s == [0.5, 1.0, 2.0, 3.0, 3.0, 0.5]


def test_the_shipper_rests_as_long_as_it_should(
    site: Any, journal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipper = Shipper(
        journal, PosixMover(site.folders.root), publish=site.events.append, poll_s=0.01, idle_s=0.08
    )
    rested_s: list[float] = []

    def rest(pause_s: float) -> None:
        rested_s.append(pause_s)
        if len(rested_s) == 6:
            shipper._stopping.set()

    monkeypatch.setattr(shipper, "_rest", rest)
    shipper._run()
    assert rested_s == [0.01, 0.02, 0.04, 0.08, 0.08, 0.08]


def test_a_shard_to_be_sent_ends_the_pause(site: Any, journal: Any) -> None:
    shipper = Shipper(journal, PosixMover(site.folders.root), publish=site.events.append, poll_s=0.01)
    shipper._rest(3600.0)  # three are to be sent: this returns
    assert shipper.status().pending_shards == 3


def test_when_the_far_end_goes_in_the_middle_of_a_pass_the_rest_waits(site: Any, journal: Any) -> None:
    mover = Troubled(site.folders.root)
    mover.silent = True
    shipper = Shipper(journal, mover, publish=site.events.append, batch_files=1)
    with pytest.raises(FarEndError):
        shipper.ship_once()
    assert [len(names) for names in mover.put_names] == [1, 0]  # one shard, no document, no second batch


@pytest.mark.parametrize("error", [JournalError("No.", safe="all.", next_step="none."), ValueError("bug")])
def test_whatever_fails_once_shipping_goes_on_and_says_so(
    site: Any, journal: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    shipper = site.shipper(journal)
    shipper.start()
    wait_until(lambda: shipper.status().awaiting_receipt == 3)
    look, failing = journal.ledger.is_something_pending, threading.Event()

    def fail_at_the_look() -> Any:
        monkeypatch.setattr(journal.ledger, "is_something_pending", look)
        failing.set()
        raise error

    # Once while it waits for work, and once while it works.
    monkeypatch.setattr(journal.ledger, "is_something_pending", fail_at_the_look)
    assert failing.wait(WAIT_S)
    outbox, worked = journal.ledger.outbox, threading.Event()

    def fail_at_work(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(journal.ledger, "outbox", outbox)
        worked.set()
        raise error

    monkeypatch.setattr(journal.ledger, "outbox", fail_at_work)
    assert worked.wait(WAIT_S)
    site.ingest()
    wait_until(lambda: shipper.status().confirmed == 3)
    assert not shipper.failed
    assert any(isinstance(event, TransferFailed) for event in site.events)
    shipper.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_data_process_does_not_go_on_without_its_shipper(
    site: Any, journal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(journal, host="127.0.0.1", port=find_free_port(), publish=site.events.append)
    shipper = site.shipper(journal)
    require_running(threading.current_thread(), recorder, shipper)

    def end() -> bool:
        raise SystemExit

    monkeypatch.setattr(shipper, "ship_once", end)
    shipper.start()
    wait_until(lambda: shipper.failed)
    with pytest.raises(ServiceUnavailableError, match="shipper stopped"):
        require_running(threading.current_thread(), recorder, shipper)
    recorder.stop(drain_s=0)


class Counting(PosixMover):
    """Counts what each question to the far end costs."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[str] = []

    def read_many(self, names: Sequence[str], *, max_bytes: int) -> Any:
        self.asked.append("receipts")
        return super().read_many(names, max_bytes=max_bytes)

    def list(self, folder: str) -> tuple[str, ...]:
        self.asked.append("listing")
        return super().list(folder)

    def size(self, name: str) -> int | None:
        self.asked.append("size")
        return super().size(name)


def test_many_shards_that_wait_cost_one_listing_and_no_question_each(site: Any, journal: Any) -> None:
    mover = Counting(site.folders.root)
    shipper = Shipper(journal, mover, publish=site.events.append)
    shipper.ship_once()
    mover.asked.clear()
    shipper.ship_once()
    # Reading what is not there asks for sizes, too; after the listing nothing is asked any more.
    assert mover.asked.count("listing") == 1
    assert mover.asked[-1] == "listing"


def test_receipts_are_not_looked_for_more_often_than_told(site: Any, journal: Any) -> None:
    mover = Counting(site.folders.root)
    shipper = Shipper(journal, mover, publish=site.events.append, receipts_s=3600.0)
    shipper.ship_once()
    shipper.ship_once()
    site.ingest()
    shipper.ship_once()
    assert mover.asked.count("receipts") == 1
    assert shipper.status().awaiting_receipt == 3
