"""A shard that was closed and not yet hashed when the power went is sealed where it lies, if it is whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eucentric_agents.recording import Journal
from eucentric_core import sha256_file

FRAMES = 4


@pytest.fixture
def cut(site: Any, make_frame: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Records a shard in a folder that is, when a step is reached, copied as a power cut would leave it."""

    def cut_at(step: str) -> Any:
        recorded = type(site)(site.root / "before")

        def on_step(reached: str) -> None:
            if reached == step and not site.recording.exists():
                shutil.copytree(recorded.recording, site.recording)

        monkeypatch.setattr("eucentric_core._steps.on_step", on_step)
        journal = recorded.open_journal()
        for sequence in (*range(FRAMES - 1), FRAMES):
            journal.append(make_frame(sequence))
        journal.sync()
        journal.stop_session("twin", "s1", frames=FRAMES + 2)
        journal.close()
        monkeypatch.setattr("eucentric_core._steps.on_step", lambda _step: None)
        assert site.recording.exists(), f"{step} was never reached"
        return site

    return cut_at


def open_shard(site: Any) -> Path:
    (path,) = (site.recording / "open").glob("*.h5")
    return path


def frames_after(site: Any, journal: Journal) -> tuple[list[int], int]:
    """End the session; which frames of it are registered, and how many are missing."""
    journal.stop_session("twin", "s1", frames=FRAMES + 2)
    (entry,) = journal.ledger.outbox("pending", limit=1)
    site.settle(journal)
    journal.close()
    assert entry.kind == "shard"
    with site.catalogue() as catalogue:
        frames = [frame.header.sequence for frame in catalogue.frames("s1", "haadf")]
        (dataset,) = catalogue.datasets()
    return frames, dataset.missing


def test_it_is_not_copied(cut: Callable[[str], Any]) -> None:
    site = cut("seal.vouched")
    before = open_shard(site).stat().st_ino
    journal = site.open_journal()
    (sealed,) = journal.folders.shards.glob("*.h5")
    assert sealed.stat().st_ino == before
    assert sealed.name.endswith(f"_{sha256_file(sealed)[:12]}.h5")
    assert journal.recovery.seals_completed == 1
    assert journal.recovery.frames_recovered == 0
    assert list(journal.folders.open.iterdir()) == []
    assert frames_after(site, journal) == ([0, 1, 2, 4], 2)


def test_an_announcement_that_was_cut_off_is_written_anew(cut: Callable[[str], Any]) -> None:
    site = cut("seal.announced")
    journal_file = open_shard(site).with_suffix(".journal")
    journal_file.write_bytes(journal_file.read_bytes()[:-7])
    before = open_shard(site).stat().st_ino
    journal = site.open_journal()
    (sealed,) = journal.folders.shards.glob("*.h5")
    assert sealed.stat().st_ino == before
    assert (journal.recovery.torn_segments, journal.recovery.seals_completed) == (1, 1)
    assert frames_after(site, journal) == ([0, 1, 2, 4], 2)


def test_what_hdf5_wrote_around_the_chunks_is_built_anew_when_a_bit_of_it_flipped(
    cut: Callable[[str], Any],
) -> None:
    site = cut("seal.vouched")
    content = bytearray(open_shard(site).read_bytes())
    content[-1] ^= 1
    open_shard(site).write_bytes(content)
    journal = site.open_journal()
    assert journal.recovery.seals_completed == 0
    assert journal.recovery.frames_recovered == FRAMES
    assert list(journal.folders.quarantine.iterdir()) == []
    assert frames_after(site, journal) == ([0, 1, 2, 4], 2)


def test_a_damaged_chunk_costs_its_frame_alone(cut: Callable[[str], Any]) -> None:
    from eucentric_agents.recording._salvage import Salvage

    site = cut("seal.vouched")
    shard = open_shard(site)
    (chunk, *_) = [e.chunk for e, _ in Salvage(shard.with_suffix(".journal"), shard).entries if e.chunk]
    content = bytearray(shard.read_bytes())
    content[chunk.offset] ^= 1
    shard.write_bytes(content)
    journal = site.open_journal()
    assert (journal.recovery.seals_completed, journal.recovery.damaged_records) == (0, 1)
    assert frames_after(site, journal) == ([1, 2, 4], 3)


def test_one_that_is_shorter_than_it_was_closed_is_built_anew(cut: Callable[[str], Any]) -> None:
    site = cut("seal.vouched")
    content = open_shard(site).read_bytes()
    open_shard(site).write_bytes(content[:-1])
    journal = site.open_journal()
    assert (journal.recovery.seals_completed, journal.recovery.frames_recovered) == (0, FRAMES)
    assert frames_after(site, journal) == ([0, 1, 2, 4], 2)
