"""Torn ends and flipped bits in the spool are found at the next start; every other frame is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucentric_core import Frame

MakeFrame = Callable[..., Frame]
FRAMES = 4


@pytest.fixture
def spool(site: Any, make_frame: MakeFrame) -> Path:
    """The spool segment a killed agent left behind, with four frames."""
    journal = site.open_journal(frames_per_shard=100)
    for sequence in range(FRAMES):
        journal.append(make_frame(sequence, shape=(6, 6)))
    journal.sync()
    journal.close()
    (path,) = (site.recording / "spool").glob("*.spool")
    return path


def reopened(site: Any) -> tuple[Any, list[int]]:
    """The recovery report, and which frames reached the catalogue, each with its own content."""
    journal = site.open_journal(frames_per_shard=100)
    journal.stop_session("twin", "s1", frames=FRAMES)
    site.settle(journal)
    report = journal.recovery
    journal.close()
    with site.catalogue() as catalogue:
        frames = list(catalogue.frames("s1", "haadf"))
        (dataset,) = catalogue.datasets()
    for frame in frames:
        expected = np.random.default_rng([frame.header.sequence, 5]).random((6, 6), dtype=np.float32)
        np.testing.assert_array_equal(frame.array, expected)
    assert dataset.missing == FRAMES - len(frames)
    return report, [frame.header.sequence for frame in frames]


def test_a_whole_segment_is_recovered(site: Any, spool: Path) -> None:
    report, sequences = reopened(site)
    assert sequences == [0, 1, 2, 3]
    assert (report.frames_recovered, report.torn_segments, report.damaged_records) == (4, 0, 0)
    assert not spool.exists()


@pytest.mark.parametrize("cut_bytes", [1, 10, 143, 144, 145, 300, 800])
def test_a_torn_end_costs_the_unfinished_frame_alone(site: Any, spool: Path, cut_bytes: int) -> None:
    content = spool.read_bytes()
    spool.write_bytes(content[:-cut_bytes])
    report, sequences = reopened(site)
    assert sequences == [0, 1, 2]
    assert report.torn_segments == 1
    assert report.damaged_records == 0


def test_recording_goes_on_behind_a_torn_end(site: Any, spool: Path, make_frame: MakeFrame) -> None:
    spool.write_bytes(spool.read_bytes()[:-50])
    journal = site.open_journal(frames_per_shard=100)
    assert journal.append(make_frame(3, shape=(6, 6))) == "stored"
    journal.sync()
    journal.close()
    _, sequences = reopened(site)
    assert sequences == [0, 1, 2, 3]


@pytest.mark.parametrize("part", ["magic", "lengths", "prefix checksum", "header", "array"])
@pytest.mark.parametrize("record", [0, 1, 3])
def test_a_flipped_bit_costs_one_frame_which_is_kept_for_inspection(
    site: Any, spool: Path, part: str, record: int
) -> None:
    content = bytearray(spool.read_bytes())
    start = [found for found in range(len(content)) if content.startswith(b"EUSP", found)][record]
    content[start + {"magic": 1, "lengths": 6, "prefix checksum": 21, "header": 60, "array": -1}[part]] ^= 4
    if part == "array":
        content[start - 1] ^= 4
        record_end = (
            *[f for f in range(start + 1, len(content)) if content.startswith(b"EUSP", f)],
            len(content),
        )[0]
        content[record_end - 3] ^= 4
    spool.write_bytes(content)
    report, sequences = reopened(site)
    assert sequences == [n for n in range(FRAMES) if n != record]
    assert report.damaged_records == 1
    kept = list((site.recording / "quarantine").glob("*.bin"))
    assert len(kept) == 1
    assert kept[0].stat().st_size > 100


def test_a_segment_of_nothing_but_damage_is_set_aside_and_the_session_still_ends(
    site: Any, spool: Path
) -> None:
    size = spool.stat().st_size
    spool.write_bytes(np.random.default_rng(3).bytes(size))
    report, sequences = reopened(site)
    assert sequences == []
    assert report.damaged_records == 1
    assert (site.recording / "quarantine" / spool.name).stat().st_size == size


def test_a_segment_no_session_knows_is_kept(site: Any, spool: Path) -> None:
    (site.recording / "journal.sqlite").unlink()
    journal = site.open_journal()
    assert (site.recording / "quarantine" / spool.name).exists()
    assert journal.open_sessions == 0
    journal.close()


def test_a_segment_of_another_session_is_kept_apart(site: Any, spool: Path, make_frame: MakeFrame) -> None:
    (site.recording / "journal.sqlite").unlink()
    content = spool.read_bytes()
    spool.unlink()
    journal = site.open_journal()
    journal.append(make_frame(0, session="s2"))
    journal.close()
    spool.write_bytes(content)
    journal = site.open_journal()
    assert journal.recovery.frames_recovered == 0
    assert (site.recording / "quarantine" / spool.name).read_bytes() == content
    journal.close()
