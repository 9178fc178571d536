"""A seal that fails, however, is told and tried again; its document says what the file holds."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eucentric_agents.recording import JournalError, _segment
from eucentric_agents.recording._entry import SealEntry, encode_chunk_entry, parse_entry
from eucentric_agents.recording._record import scan_file
from eucentric_agents.recording._record_format import JOURNAL
from eucentric_agents.recording._salvage import Damage
from eucentric_agents.recording._sealer import Sealer, SealJob
from eucentric_agents.recording._sealing import ShardSealing
from eucentric_core import DatasetManifest, Frame, OutOfSpaceError, Shard, sha256_file
from eucentric_transfer import ShardReader, flush_to_disk

MakeFrame = Callable[..., Frame]
SHAPE = (40, 40)
CLOSE = "eucentric_agents.recording._sealing.ShardSealing._close"
NO_ROOM = OutOfSpaceError("No room.", safe="all.", next_step="none.")


def fail_once(monkeypatch: pytest.MonkeyPatch, error: Exception, first: Callable[[Path], None]) -> None:
    """Closing a shard fails once; before that, something happens to the open shard."""
    close = ShardSealing._close

    def fail(_: ShardSealing, job: SealJob) -> Shard:
        monkeypatch.setattr(CLOSE, close)
        first(job.segment.shard_path)
        raise error

    monkeypatch.setattr(CLOSE, fail)


def sealed(journal: Any) -> list[Shard]:
    entries = [e for e in journal.ledger.outbox("pending") if e.kind == "shard"]
    return [Shard.model_validate_json(entry.document) for entry in entries]


def in_the_files(journal: Any) -> list[tuple[int, ...]]:
    found = []
    for shard in sealed(journal):
        with ShardReader(journal.folders.shards / shard.file_name) as reader:
            found.append(reader.sequences)
    return found


def missing_of(journal: Any) -> tuple[int, ...]:
    (entry,) = [e for e in journal.ledger.outbox("pending") if e.kind == "dataset"]
    return DatasetManifest.model_validate_json(entry.document).missing_sequences


def test_an_error_nobody_foresaw_is_told_and_sealing_goes_on(
    site: Any, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = site.open_journal(frames_per_shard=2)
    fail_once(monkeypatch, ValueError("HDF5 says so"), lambda _: None)
    for sequence in range(3):
        journal.append(make_frame(sequence, shape=SHAPE))
    journal.sync()
    for _ in range(3):
        try:
            journal.wait_sealed()
        except JournalError:
            continue
    journal.stop_session("twin", "s1", frames=3)
    assert in_the_files(journal) == [(0, 1), (2,)]
    journal.close()


def job_of(journal: Any, make_frame: MakeFrame) -> SealJob:
    journal.append(make_frame(0))
    (recording,) = journal._recordings.values()
    return SealJob(1, 0, recording.growing[0].segment, {0: {"haadf"}}, (), True, 1)


def test_whatever_sealing_raises_is_a_failure_of_the_journal(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal()

    def fail(_: SealJob) -> None:
        raise KeyError("no such group")

    sealer = Sealer(fail)
    sealer.submit(job_of(journal, make_frame))
    for _ in range(3):
        with pytest.raises(JournalError, match="no such group"):
            sealer.wait()
    sealer.close()
    journal.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_sealing_thread_that_has_ended(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal()

    def end(_: SealJob) -> None:
        raise SystemExit

    sealer = Sealer(end)
    sealer.submit(job_of(journal, make_frame))
    with pytest.raises(JournalError, match="has ended"):
        sealer.wait()
    sealer.close()
    journal.close()


def flip(monkeypatch: pytest.MonkeyPatch, damaged: set[int]) -> Callable[[Path], None]:
    """Flips a bit in the chunks of some frames; to be made before anything is written."""
    encode, places = encode_chunk_entry, []

    def spy(header: bytes, place: Any, crc32: int) -> bytes:
        places.append(place.offset)
        return encode(header, place, crc32)

    monkeypatch.setattr(_segment, "encode_chunk_entry", spy)

    def damage(shard: Path) -> None:
        content = bytearray(shard.read_bytes())
        for number in damaged:
            content[places[number] + 5] ^= 1
        shard.write_bytes(content)

    return damage


@pytest.mark.parametrize("damaged", [{1}, {2}, {0, 1}], ids=str)
def test_what_was_damaged_before_a_seal_is_tried_again_is_missing_and_in_no_document(
    site: Any, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch, damaged: set[int]
) -> None:
    journal = site.open_journal(frames_per_shard=3)
    fail_once(monkeypatch, NO_ROOM, flip(monkeypatch, damaged))
    for sequence in range(5):
        journal.append(make_frame(sequence, shape=SHAPE))
        journal.sync()
    while journal.shards_sealed == 0:
        try:
            journal.wait_sealed()
        except OutOfSpaceError:
            continue
    journal.stop_session("twin", "s1", frames=5)
    intact = tuple(n for n in range(3) if n not in damaged)
    assert in_the_files(journal) == [intact, (3, 4)]
    first = sealed(journal)[0]
    assert (first.first_sequence, first.last_sequence, first.frames) == (intact[0], intact[-1], len(intact))
    assert missing_of(journal) == tuple(sorted(damaged))
    assert len(list(journal.folders.quarantine.glob("*.reason.json"))) == len(damaged)
    site.settle(journal)
    with site.catalogue() as catalogue:
        (dataset,) = catalogue.datasets()
        assert (dataset.state, dataset.frames, dataset.missing) == (
            "complete",
            5 - len(damaged),
            len(damaged),
        )
    journal.close()


def test_a_segment_of_which_nothing_is_intact_is_a_gap_and_the_next_is_sealed(
    site: Any, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = site.open_journal(frames_per_shard=2)
    fail_once(monkeypatch, NO_ROOM, flip(monkeypatch, {0, 1}))
    outcomes = []
    for sequence in range(3):
        outcomes.append(journal.append(make_frame(sequence, shape=SHAPE)))
        journal.sync()
    for _ in range(5):
        try:
            journal.wait_sealed()
        except OutOfSpaceError:
            continue
    # The folder goes on behind the gap, also when it is opened again.
    journal.close()
    journal = site.open_journal(frames_per_shard=2)
    for sequence in range(3, 6):
        outcomes.append(journal.append(make_frame(sequence, shape=SHAPE)))
        journal.sync()
    assert outcomes == ["stored"] * 6
    journal.stop_session("twin", "s1", frames=6)
    assert in_the_files(journal) == [(2, 3), (4, 5)]
    assert missing_of(journal) == (0, 1)
    assert len(list(journal.folders.quarantine.glob("*.reason.json"))) == 2
    journal.close()


def test_a_seal_without_room_frees_what_the_repository_has_and_is_tried_again(
    site: Any, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = site.open_journal(frames_per_shard=2, keep_receipted_bytes=1 << 30)
    for sequence in range(2):
        journal.append(make_frame(sequence, shape=SHAPE))
    journal.stop_session("twin", "s1", frames=2)
    site.settle(journal)
    assert journal.local_copies.size_bytes > 0
    fail_once(monkeypatch, NO_ROOM, lambda _: None)
    for sequence in range(2):
        journal.append(make_frame(sequence, session="s2", shape=SHAPE))
    journal.stop_session("twin", "s2", frames=2)
    assert journal.local_copies.size_bytes == 0
    assert in_the_files(journal) == [(0, 1)]
    journal.close()


def test_a_full_disk_frees_what_the_repository_has_before_anything_waits_for_ever(
    site: Any, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = site.open_journal(frames_per_shard=2, keep_receipted_bytes=1 << 30)
    for sequence in range(4):
        journal.append(make_frame(sequence, shape=SHAPE))
    journal.stop_session("twin", "s1", frames=4)
    site.settle(journal)
    journal.append(make_frame(0, session="s2", shape=SHAPE))
    journal.sync()

    def flush(path: Path) -> None:
        # As with a quota: what the disk says is free does not tell.
        if journal.local_copies.size_bytes:
            raise OSError(errno.EDQUOT, "over the quota")
        flush_to_disk(path)

    monkeypatch.setattr("eucentric_agents.recording._segment.flush_to_disk", flush)
    journal.append(make_frame(1, session="s2", shape=SHAPE))
    for _ in range(4):
        try:
            journal.sync()
            journal.append(make_frame(1, session="s2", shape=SHAPE))
            journal.sync()
        except (OutOfSpaceError, JournalError):
            continue
        break
    journal.stop_session("twin", "s2", frames=2)
    assert in_the_files(journal) == [(0, 1)]
    journal.close()


def test_a_chunk_the_disk_cannot_read_costs_that_frame_and_the_shard_is_kept_for_a_later_try(
    site: Any, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = site.open_journal(frames_per_shard=100)
    for sequence in range(4):
        journal.append(make_frame(sequence, shape=SHAPE))
        journal.append(make_frame(sequence, "truth"))
    journal.sync()
    journal.close()
    (shard,) = (site.recording / "open").glob("*.h5")
    was = sha256_file(shard)
    content = Damage.content

    def unreadable(damage: Damage) -> bytes:
        if damage.header is not None and (damage.header.sequence, damage.header.stream) == (2, "haadf"):
            raise OSError(errno.EIO, "Input/output error")
        return content(damage)

    monkeypatch.setattr(Damage, "content", unreadable)
    journal = site.open_journal(frames_per_shard=100)
    assert (journal.recovery.frames_recovered, journal.recovery.damaged_records) == (7, 1)
    assert sha256_file(site.recording / "quarantine" / shard.name) == was
    assert journal.append(make_frame(4, shape=SHAPE)) == "stored"
    journal.close()


def test_a_seal_over_a_gap_of_any_believable_width_can_be_read_back(
    site: Any, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = site.open_journal(frames_per_shard=3)
    for sequence in (0, 2, 500_000):
        journal.append(make_frame(sequence))
    journal.sync()

    def cut(*_: Any) -> None:
        raise JournalError("Killed here.", safe="all.", next_step="none.")

    with monkeypatch.context() as patch:
        patch.setattr(journal.ledger, "record_shard", cut)
        with pytest.raises(JournalError, match="Killed"):
            journal.stop_session("twin", "s1", frames=500_001)
    (segment,) = (site.recording / "open").glob("*.journal")
    seal = parse_entry(scan_file(segment, JOURNAL).records[-1].header)
    assert isinstance(seal, SealEntry)
    assert seal.missing == (1, (3, 499_999))
    journal.close()
    journal = site.open_journal(frames_per_shard=3)
    assert journal.recovery.seals_completed == 1
    journal.tidy()
    assert [shard.frames for shard in sealed(journal)] == [3]
    assert missing_of(journal) == (1, *range(3, 500_000))
    journal.close()
