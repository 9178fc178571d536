"""Torn ends and flipped bits are found at the next start and kept with the reason; all other frames flow."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucentric_agents.recording import JournalError, _record
from eucentric_core import Frame, crc32c

MakeFrame = Callable[..., Frame]
FRAMES = 4
SHAPE = (40, 40)
GOLDEN = Path(__file__).with_name("golden") / "spool.v1"


@pytest.fixture
def segment(site: Any, make_frame: MakeFrame) -> Path:
    """The journal of the open shard a killed agent left behind, with four images and four tables."""
    journal = site.open_journal(frames_per_shard=100)
    for sequence in range(FRAMES):
        journal.append(make_frame(sequence, "truth"))
        journal.append(make_frame(sequence, shape=SHAPE))
    journal.sync()
    return abandon(site, journal)


def abandon(site: Any, journal: Any) -> Path:
    """What a kill leaves: HDF5 has not written its own metadata yet."""
    kept = site.root / "kept"
    shutil.copytree(site.recording / "open", kept)
    journal.close()
    shutil.rmtree(site.recording / "open")
    kept.rename(site.recording / "open")
    (path,) = (site.recording / "open").glob("*.journal")
    return path


def records(path: Path) -> list[int]:
    """Where each record of a journal starts, and the end."""
    content = path.read_bytes()
    return [n for n in range(len(content)) if content.startswith(b"EUJ3", n)] + [len(content)]


def offset_of(path: Path, frame: int) -> int:
    """Where the chunk of an image lies, by its record."""
    start, stop = records(path)[2 * frame + 1 : 2 * frame + 3]
    record = path.read_bytes()[start:stop]
    return int(record[record.index(b'"chunk":{"offset":') + 18 :].split(b",")[0])


def reopened(site: Any) -> tuple[Any, list[int], list[int]]:
    """The recovery report, and which images and tables reached the catalogue, each with its own content."""
    journal = site.open_journal(frames_per_shard=100)
    journal.stop_session("twin", "s1", frames=FRAMES)
    site.settle(journal)
    report = journal.recovery
    journal.close()
    with site.catalogue() as catalogue:
        images = list(catalogue.frames("s1", "haadf"))
        tables = list(catalogue.frames("s1", "truth"))
        (dataset,) = catalogue.datasets()
    for frame in images:
        expected = np.random.default_rng([frame.header.sequence, 5]).random(SHAPE, dtype=np.float32)
        np.testing.assert_array_equal(frame.array, expected)
    there = {frame.header.sequence for frame in (*images, *tables)}
    assert dataset.missing == FRAMES - len(there)
    return report, [f.header.sequence for f in images], [f.header.sequence for f in tables]


def quarantined(site: Any) -> list[dict[str, Any]]:
    """The reasons, each of whose bytes is there."""
    folder = site.recording / "quarantine"
    reasons = [json.loads(path.read_text()) for path in sorted(folder.glob("*.reason.json"))]
    assert all((folder / reason["file"]).stat().st_size == reason["size_bytes"] for reason in reasons)
    return reasons


def test_a_shard_that_was_never_closed_is_recovered_by_its_journal(site: Any, segment: Path) -> None:
    # Nothing that HDF5 says about itself is needed: its first page is gone.
    shard = segment.with_suffix(".h5")
    content = bytearray(shard.read_bytes())
    content[:96] = bytes(96)
    shard.write_bytes(content)
    report, images, tables = reopened(site)
    assert images == tables == [0, 1, 2, 3]
    assert (report.frames_recovered, report.torn_segments, report.damaged_records) == (8, 0, 0)
    assert list((site.recording / "open").iterdir()) == quarantined(site) == []


@pytest.mark.parametrize("cut_bytes", [1, 10, 23, 24, 25, 300])
def test_a_torn_record_costs_the_unfinished_frame_alone(site: Any, segment: Path, cut_bytes: int) -> None:
    segment.write_bytes(segment.read_bytes()[:-cut_bytes])
    report, images, tables = reopened(site)
    assert (images, tables) == ([0, 1, 2], [0, 1, 2, 3])
    assert (report.torn_segments, report.damaged_records) == (1, 0)
    assert quarantined(site) == []


def test_recording_goes_on_behind_a_torn_record(site: Any, segment: Path, make_frame: MakeFrame) -> None:
    segment.write_bytes(segment.read_bytes()[:-50])
    journal = site.open_journal(frames_per_shard=100)
    assert journal.append(make_frame(2, shape=SHAPE)) == "duplicate"
    assert journal.append(make_frame(3, shape=SHAPE)) == "stored"
    journal.sync()
    abandon(site, journal)
    _, images, _ = reopened(site)
    assert images == [0, 1, 2, 3]


@pytest.mark.parametrize("part", ["magic", "lengths", "prefix checksum", "header", "end"])
@pytest.mark.parametrize("record", [0, 3, 7])
def test_a_flipped_bit_in_the_journal_costs_one_frame_which_is_kept(
    site: Any, segment: Path, part: str, record: int
) -> None:
    starts = records(segment)
    content = bytearray(segment.read_bytes())
    where = {"magic": 1, "lengths": 6, "prefix checksum": 21, "header": 60}.get(part)
    content[starts[record + 1] - 3 if where is None else starts[record] + where] ^= 4
    segment.write_bytes(content)
    report, images, tables = reopened(site)
    damaged = record // 2
    intact = [n for n in range(FRAMES) if n != damaged]
    assert (images, tables) == ((intact, [0, 1, 2, 3]) if record % 2 else ([0, 1, 2, 3], intact))
    assert report.damaged_records == 1
    reasons = quarantined(site)
    assert {reason["file"].rpartition(".")[2] for reason in reasons} == {"bin", "h5"}
    assert sum(reason.get("kind") == "damaged" for reason in reasons) == 1


def test_what_changed_between_its_source_and_the_disk_is_found(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal(frames_per_shard=100, compression="none")
    for sequence in range(FRAMES):
        journal.append(make_frame(sequence, "truth"))
        frame = make_frame(sequence, shape=SHAPE)
        published = crc32c(frame.array.tobytes())
        journal.append(frame, crc32c=published ^ (sequence == 2))
    journal.sync()
    abandon(site, journal)
    report, images, tables = reopened(site)
    assert (images, tables) == ([0, 1, 3], [0, 1, 2, 3])
    assert report.damaged_records == 1
    assert [reason["kind"] for reason in quarantined(site)] == ["damaged"]


@pytest.mark.parametrize("frame", [0, 3])
def test_a_flipped_bit_in_a_chunk_costs_that_frame_which_is_kept(
    site: Any, segment: Path, frame: int
) -> None:
    shard = segment.with_suffix(".h5")
    content = bytearray(shard.read_bytes())
    offset = offset_of(segment, frame)
    content[offset + 500] ^= 1
    shard.write_bytes(content)
    report, images, tables = reopened(site)
    assert images == [n for n in range(FRAMES) if n != frame]
    assert tables == [0, 1, 2, 3]
    assert report.damaged_records == 1
    (reason,) = quarantined(site)
    assert json.loads(reason["header"])["sequence"] == frame
    kept = (site.recording / "quarantine" / reason["file"]).read_bytes()
    assert kept == bytes(content[offset : offset + len(kept)])


def test_a_truncated_shard_costs_the_frames_behind_the_cut(site: Any, segment: Path) -> None:
    shard = segment.with_suffix(".h5")
    offset = offset_of(segment, 2)
    shard.write_bytes(shard.read_bytes()[: offset + 10])
    report, images, tables = reopened(site)
    assert (images, tables) == ([0, 1], [0, 1, 2, 3])
    assert report.damaged_records == 2


def test_a_journal_of_nothing_but_damage_is_set_aside_and_the_session_still_ends(
    site: Any, segment: Path
) -> None:
    size = segment.stat().st_size
    segment.write_bytes(np.random.default_rng(3).bytes(size))
    report, images, tables = reopened(site)
    assert images == tables == []
    assert report.damaged_records == 1
    assert size in {reason["size_bytes"] for reason in quarantined(site)}


def forget_the_sessions(site: Any) -> None:
    (site.recording / "journal.sqlite").unlink()
    (site.recording / "journal.chronicle").unlink()


def test_a_segment_whose_session_nobody_knows_says_whose_it_is(site: Any, segment: Path) -> None:
    forget_the_sessions(site)
    report, images, tables = reopened(site)
    assert images == tables == [0, 1, 2, 3]
    assert report.frames_recovered == 8
    assert list((site.recording / "quarantine").iterdir()) == []


def test_a_segment_of_another_session_is_kept_apart(site: Any, segment: Path, make_frame: MakeFrame) -> None:
    forget_the_sessions(site)
    shutil.move(site.recording / "open", site.root / "other")
    journal = site.open_journal()
    journal.append(make_frame(0, session="s2"))
    journal.sync()
    journal.close()
    shutil.rmtree(site.recording / "open")
    shutil.move(site.root / "other", site.recording / "open")
    journal = site.open_journal()
    assert journal.recovery.frames_recovered == 0
    assert (site.recording / "quarantine" / segment.name).exists()
    journal.close()


def test_a_shard_that_rotted_between_its_announcement_and_its_name_is_rebuilt(
    site: Any, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = site.open_journal(frames_per_shard=100)
    for sequence in range(FRAMES):
        journal.append(make_frame(sequence, "truth"))
        journal.append(make_frame(sequence, shape=SHAPE))
    journal.sync()

    def fail(*_: Any) -> None:
        raise JournalError("The disk failed.", safe="all.", next_step="none.")

    with monkeypatch.context() as patch:
        patch.setattr(journal.ledger, "record_shard", fail)
        with pytest.raises(JournalError, match="disk failed"):
            journal.stop_session("twin", "s1", frames=FRAMES)
    (sealed,) = (site.recording / "shards").glob("*.h5")
    content = bytearray(sealed.read_bytes())
    content[-1] ^= 1
    sealed.write_bytes(content)
    journal.close()
    _, images, tables = reopened(site)
    assert images == tables == [0, 1, 2, 3]


def test_a_seal_that_failed_is_done_again_and_nothing_overtakes_it(
    site: Any, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = site.open_journal(frames_per_shard=2)

    def fail(*_: Any) -> None:
        raise JournalError("The disk failed.", safe="all.", next_step="none.")

    with monkeypatch.context() as patch:
        patch.setattr(journal.ledger, "record_shard", fail)
        for sequence in range(6):
            journal.append(make_frame(sequence, shape=SHAPE))
        with pytest.raises(JournalError, match="disk failed"):
            journal.wait_sealed()
    assert journal.ledger.outbox("pending") == []
    journal.stop_session("twin", "s1", frames=6)
    names = [entry.name[:15] for entry in journal.ledger.outbox("pending") if entry.kind == "shard"]
    assert names == [f"twin_s1_00000{n}_" for n in range(3)]
    site.settle(journal)
    with site.catalogue() as catalogue:
        assert [f.header.sequence for f in catalogue.frames("s1", "haadf")] == list(range(6))
    journal.close()


@pytest.mark.parametrize("closing", [False, True])
def test_frames_that_could_not_be_made_durable_are_taken_again(
    site: Any, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch, closing: bool
) -> None:
    """A flush that fails may drop what was written: the shard is built anew from what was durable before."""
    journal = site.open_journal(frames_per_shard=2 if closing else 100)
    frames = [make_frame(n, shape=SHAPE) for n in range(4)]
    journal.append(frames[0])
    journal.sync()

    def fail(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("eucentric_agents.recording._segment.flush_to_disk", fail)
        journal.append(frames[1])
        if closing:
            journal.append(frames[2])
        with pytest.raises(JournalError):
            journal.sync()
        # Everything in between is refused, until the segment is built anew.
        with pytest.raises(JournalError):
            journal.append(frames[1])
    outcomes = []
    for _ in range(3):
        try:
            journal.sync()
            outcomes = [journal.append(frame) for frame in frames]
            journal.sync()
        except JournalError:
            continue
        break
    assert outcomes[0] == "duplicate"
    journal.stop_session("twin", "s1", frames=4)
    site.settle(journal)
    with site.catalogue() as catalogue:
        read = list(catalogue.frames("s1", "haadf"))
    assert [frame.header.sequence for frame in read] == [0, 1, 2, 3]
    for got, wrote in zip(read, frames, strict=True):
        np.testing.assert_array_equal(got.array, wrote.array)
    journal.close()


def test_what_version_0_1_left_in_its_spool_is_recorded(site: Any, make_frame: MakeFrame) -> None:
    shutil.copytree(GOLDEN, site.recording)
    (site.recording / "journal.sqlite.golden").rename(site.recording / "journal.sqlite")
    journal = site.open_journal()
    assert journal.recovery.frames_recovered == 4
    assert list((site.recording / "spool").iterdir()) == []
    assert journal.append(make_frame(5)) == "duplicate"
    assert journal.append(make_frame(6)) == "stored"
    journal.stop_session("twin", "s1", frames=7)
    site.settle(journal)
    with site.catalogue() as catalogue:
        for stream in ("haadf", "truth"):
            read = list(catalogue.frames("s1", stream))
            assert [f.header.sequence for f in read] == list(range(7 if stream == "haadf" else 6))
            for frame in read:
                np.testing.assert_array_equal(frame.array, make_frame(frame.header.sequence, stream).array)
    journal.close()


def test_a_damaged_record_of_an_old_spool_is_kept(site: Any) -> None:
    shutil.copytree(GOLDEN, site.recording)
    (site.recording / "journal.sqlite.golden").rename(site.recording / "journal.sqlite")
    (spool,) = (site.recording / "spool").glob("*.spool")
    content = bytearray(spool.read_bytes())
    content[100] ^= 1
    spool.write_bytes(content[:-20])
    journal = site.open_journal()
    report = journal.recovery
    assert (report.frames_recovered, report.damaged_records, report.torn_segments) == (2, 1, 1)
    assert len(quarantined(site)) == 1
    journal.close()


def test_a_segment_of_before_whose_checksums_are_crc32_is_recovered(site: Any, make_frame: MakeFrame) -> None:
    shutil.copytree(GOLDEN.with_name("segment.v2"), site.recording)
    (site.recording / "journal.sqlite.golden").rename(site.recording / "journal.sqlite")
    journal = site.open_journal(frames_per_shard=100)
    assert (journal.recovery.frames_recovered, journal.recovery.damaged_records) == (6, 0)
    assert journal.append(make_frame(2, shape=SHAPE)) == "duplicate"
    journal.stop_session("twin", "s1", frames=3)
    site.settle(journal)
    with site.catalogue() as catalogue:
        for stream in ("haadf", "truth"):
            read = list(catalogue.frames("s1", stream))
            assert [frame.header.sequence for frame in read] == [0, 1, 2]
    journal.close()


def test_a_damaged_chunk_of_a_segment_of_before_is_found(site: Any) -> None:
    shutil.copytree(GOLDEN.with_name("segment.v2"), site.recording)
    (site.recording / "journal.sqlite.golden").rename(site.recording / "journal.sqlite")
    (path,) = (site.recording / "open").glob("*.journal")
    content = path.read_bytes()
    chunk = content[content.index(b'"chunk":{"offset":') + 18 :]
    (shard,) = (site.recording / "open").glob("*.h5")
    damaged = bytearray(shard.read_bytes())
    damaged[int(chunk.split(b",")[0]) + 7] ^= 1
    shard.write_bytes(damaged)
    journal = site.open_journal(frames_per_shard=100)
    assert (journal.recovery.frames_recovered, journal.recovery.damaged_records) == (5, 1)
    assert len(quarantined(site)) == 1
    journal.close()


def test_a_sector_of_the_journal_that_the_disk_cannot_read_costs_what_lies_in_it(
    site: Any, segment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = records(segment)
    bad = range(starts[2], starts[3])
    read = _record._Content._read

    def failing(content: Any, start: int, n_bytes: int) -> bytes:
        if start < bad.stop and start + n_bytes > bad.start and start < content.size:
            raise OSError(errno.EIO, "Input/output error")
        return read(content, start, n_bytes)

    monkeypatch.setattr(_record, "_SECTOR_BYTES", 64)
    monkeypatch.setattr(_record._Content, "_read", failing)
    report, images, tables = reopened(site)
    # A record costs as many frames as its sectors touch: at least its own, and its neighbours' at most.
    assert report.damaged_records >= 1
    assert 1 not in tables
    assert {3} <= set(images)
    assert (site.recording / "quarantine" / segment.name).exists()
    assert len(images) + len(tables) >= 2 * FRAMES - 3
