"""A damaged ledger is set aside and made anew: the recording goes on, nothing is lost, nothing is doubled.

The recording that is damaged here has everything in it: shards that the repository has and that are freed,
sealed ones that wait, an open one with durable frames, and a frame in the quarantine.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eucentric_agents.recording import Journal, JournalError, Ledger, Shipper
from eucentric_agents.recording._chronicle import Chronicle
from eucentric_agents.recording._ledger_facts import SessionFact, ShardFact
from eucentric_core import Frame, Receipt, SessionStarted, Shard, utc_now
from eucentric_data_repository import Catalogue, DatasetEntry, RepositoryFolders
from eucentric_transfer import PosixMover

from ...frames import build_frame
from .outbox import brought_home, take_in

FREED, SEALED, OPEN = range(4), range(4, 9), range(9, 11)
POISONED = 6
GOOD = {*FREED, *SEALED, *OPEN} - {POISONED}
FRAMES = OPEN.stop
SHAPE = (160, 128)
FRAMES_PER_SHARD = 2

Damage = Callable[[bytes], bytes]


def open_journal(folder: Path) -> Journal:
    return Journal(folder, frames_per_shard=FRAMES_PER_SHARD, min_free_bytes=0)


def record(journal: Journal, sequences: range) -> None:
    for sequence in sequences:
        frame = build_frame(sequence, shape=SHAPE)
        if sequence == POISONED:
            frame = Frame(frame.header, np.full(SHAPE, np.nan, frame.header.dtype))
        journal.append(frame)
    journal.sync()


@pytest.fixture(scope="module", params=["closed", "killed"])
def left(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A recording and its repository; of the killed one, the database's last writes are in its own log."""
    root, kept = tmp_path_factory.mktemp("recorded"), tmp_path_factory.mktemp("left")
    folders = RepositoryFolders(root / "repository")
    folders.make()
    journal = open_journal(root / "recording")
    journal.start_session(SessionStarted(source="agent", instrument="twin", session="s1", material="mos2"))
    record(journal, FREED)
    record(journal, range(SEALED.start, SEALED.start + 1))
    journal.wait_sealed()
    shipper = Shipper(journal, PosixMover(folders.root), publish=lambda _event: None)
    shipper.ship_once()
    take_in(folders)
    shipper.ship_once()
    assert list(journal.folders.shards.iterdir()) == []
    record(journal, range(SEALED.start + 1, OPEN.stop))
    journal.wait_sealed()
    assert len(list(journal.folders.shards.iterdir())) == 2
    if request.param == "killed":
        shutil.copytree(root, kept, dirs_exist_ok=True)
    journal.close()
    if request.param == "closed":
        shutil.copytree(root, kept, dirs_exist_ok=True)
    return kept


def copied(left: Path, tmp_path: Path) -> Path:
    shutil.copytree(left, tmp_path, dirs_exist_ok=True)
    return tmp_path / "recording"


def change(path: Path, damage: Damage) -> None:
    path.write_bytes(damage(path.read_bytes()))


def change_database(folder: Path, damage: Damage) -> None:
    """Also its own log, which has whatever is newer than the file."""
    for path in sorted(folder.glob("journal.sqlite*")):
        change(path, damage)


def opened_again(folder: Path) -> str | None:
    """What the recovery says of the ledger."""
    journal = open_journal(folder)
    said = journal.recovery.ledger
    assert journal.open_sessions == 1
    journal.close()
    return said


def bring_home(tmp_path: Path) -> tuple[set[int], DatasetEntry]:
    """The frames in the repository, none of them twice, and the data set."""
    found, dataset = brought_home(
        tmp_path / "recording",
        tmp_path / "repository",
        frames=FRAMES,
        shape=SHAPE,
        frames_per_shard=FRAMES_PER_SHARD,
    )
    with Catalogue(RepositoryFolders(tmp_path / "repository").database) as catalogue:
        sequences = [frame.header.sequence for frame in catalogue.frames("s1", "haadf")]
    assert len(sequences) == len(found)
    assert dataset.state == "complete"
    assert list((tmp_path / "recording" / "open").iterdir()) == []
    return found, dataset


def in_quarantine(folder: Path) -> set[str]:
    return {path.name for path in (folder / "quarantine").iterdir() if path.name.startswith("damaged-")}


def nothing(content: bytes) -> bytes:
    return content[:0]


def scrawl(content: bytes) -> bytes:
    return b"not a database" * (len(content) // 14 + 1)


def lose_the_first_page(content: bytes) -> bytes:
    return bytes(4096) + content[4096:]


def lose_the_second_half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def tear(content: bytes) -> bytes:
    return content[:-100]


def blank_the_last_pages(content: bytes) -> bytes:
    return content[:8192] + bytes(max(0, len(content) - 8192))


WHOLE_FILE = [nothing, scrawl, lose_the_first_page, lose_the_second_half, tear, blank_the_last_pages]
SEEDS, NIGHTLY_SEEDS = 4, 100


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        nightly = metafunc.config.getoption("--nightly")
        metafunc.parametrize("seed", range(NIGHTLY_SEEDS if nightly else SEEDS))


@pytest.mark.parametrize("damage", WHOLE_FILE)
@pytest.mark.parametrize("name", ["journal.sqlite", "journal.sqlite-wal", "journal.chronicle"])
def test_one_damaged_file_costs_nothing(left: Path, tmp_path: Path, name: str, damage: Damage) -> None:
    folder = copied(left, tmp_path)
    if not (folder / name).exists():
        pytest.skip("a database that was closed has no log")
    change(folder / name, damage)
    opened_again(folder)
    found, dataset = bring_home(tmp_path)
    assert found == GOOD
    assert dataset.missing == 1


def test_a_damaged_database_is_kept_with_its_reason_and_somebody_is_told(left: Path, tmp_path: Path) -> None:
    folder = copied(left, tmp_path)
    before = (folder / "journal.sqlite").read_bytes()
    change_database(folder, scrawl)
    said = opened_again(folder)
    assert said is not None
    assert "quarantine" in said
    kept = folder / "quarantine" / "damaged-1-journal.sqlite"
    assert kept.read_bytes() == scrawl(before)
    assert kept.with_name(f"{kept.name}.reason.json").exists()
    assert opened_again(folder) is None, "mended once is mended"


def test_damaged_again_and_again_nothing_in_the_quarantine_is_overwritten(left: Path, tmp_path: Path) -> None:
    folder = copied(left, tmp_path)
    for _ in range(3):
        change_database(folder, scrawl)
        opened_again(folder)
    assert {f"damaged-{number}-journal.sqlite" for number in (1, 2, 3)} <= in_quarantine(folder)
    assert bring_home(tmp_path)[0] == GOOD


def test_flipped_bits_anywhere_in_the_database_cost_nothing(left: Path, tmp_path: Path, seed: int) -> None:
    folder = copied(left, tmp_path)
    chance = np.random.default_rng([51, seed])

    def flip(content: bytes) -> bytes:
        flipped = bytearray(content)
        for at in chance.integers(0, len(content), 4):
            flipped[at] ^= 1 << int(chance.integers(0, 8))
        return bytes(flipped)

    change_database(folder, flip)
    opened_again(folder)
    found, dataset = bring_home(tmp_path)
    assert found == GOOD
    assert dataset.missing == 1


@pytest.mark.parametrize("last", [b"x", b"\xa0"], ids=["another letter", "no text any more"])
@pytest.mark.parametrize("text", [b"twin", b"sha256", b"mos2", b"pending", b"outbox"])
def test_a_changed_word_that_no_page_tells_is_found_by_the_chronicle(
    left: Path, tmp_path: Path, text: bytes, last: bytes
) -> None:
    folder = copied(left, tmp_path)
    change_database(folder, lambda content: content.replace(text, text[:-1] + last))
    opened_again(folder)
    found, dataset = bring_home(tmp_path)
    assert found == GOOD
    assert (dataset.missing, dataset.material) == (1, "mos2")


@pytest.mark.parametrize("lost", [nothing, scrawl])
def test_without_database_and_chronicle_the_shards_that_are_here_say_what_they_are(
    left: Path, tmp_path: Path, lost: Damage
) -> None:
    folder = copied(left, tmp_path)
    for path in sorted(folder.glob("journal.*")):
        change(path, lost)
    opened_again(folder)
    found, _ = bring_home(tmp_path)
    assert found == GOOD


def test_a_ledger_of_before_there_were_chronicles_gets_one(left: Path, tmp_path: Path) -> None:
    folder = copied(left, tmp_path)
    (folder / "journal.chronicle").unlink()
    assert opened_again(folder) is None
    change_database(folder, scrawl)
    opened_again(folder)
    found, dataset = bring_home(tmp_path)
    assert found == GOOD
    assert dataset.missing == 1


def test_who_may_mend_nothing_changes_nothing(left: Path, tmp_path: Path) -> None:
    folder = copied(left, tmp_path)
    change_database(folder, scrawl)
    before = (folder / "journal.sqlite").read_bytes()
    with pytest.raises(JournalError, match="damaged"):
        Ledger(folder / "journal.sqlite")
    assert (folder / "journal.sqlite").read_bytes() == before


SHARDS = 5000
"""More than SQLite keeps in memory."""


def test_a_database_that_is_damaged_while_it_is_used_is_made_anew(tmp_path: Path) -> None:
    set_aside: list[Path] = []
    shards = [sealed_shard(index) for index in range(SHARDS)]
    chronicle = Chronicle(tmp_path / "journal.chronicle")
    chronicle.rewrite([SessionFact(id=1, instrument="twin", session="s1"), *map(fact_of, shards)])
    chronicle.close()
    ledger = Ledger(tmp_path / "journal.sqlite", lambda path, _why: set_aside.append(path))
    try:
        assert len(ledger.shard_names()) == SHARDS
        for path in tmp_path.glob("journal.sqlite*"):
            path.write_bytes(bytes(path.stat().st_size))
        with pytest.raises(JournalError, match="made anew"):
            ledger.shard_names()
        assert set_aside
        further = sealed_shard(SHARDS)
        ledger.record_shard(1, further, ())
        ledger.confirm(further.file_name, receipt_of(further))
        assert ledger.shard_names() == {shard.file_name for shard in [*shards, further]}
    finally:
        ledger.close()


def fact_of(shard: Shard) -> ShardFact:
    return ShardFact(
        session_id=1,
        index=shard.index,
        last_sequence=shard.last_sequence,
        name=shard.file_name,
        document=shard.model_dump_json(),
        size_bytes=shard.size_bytes,
        missing=(),
    )


def sealed_shard(index: int) -> Shard:
    return Shard(
        instrument="twin",
        session="s1",
        index=index,
        first_sequence=index,
        last_sequence=index,
        frames=1,
        streams=("haadf",),
        sha256=f"{index:064x}",
        size_bytes=1,
        sealed_utc=utc_now(),
        simulated=True,
    )


def receipt_of(shard: Shard) -> Receipt:
    return Receipt(
        idempotency_key=shard.idempotency_key,
        sha256=shard.sha256,
        size_bytes=shard.size_bytes,
        received_utc=utc_now(),
        dataset_id=shard.dataset_id,
    )
