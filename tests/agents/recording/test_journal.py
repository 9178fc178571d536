"""The journal's promises while nothing crashes: groups, gaps, duplicates, and one owner."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from eucentric_agents.recording._sealer import Sealer, SealJob
from eucentric_agents.recording._sealing import ShardSealing
from eucentric_core import (
    ConfigurationError,
    DataFormatError,
    DatasetManifest,
    Frame,
    OutOfSpaceError,
    SessionStarted,
    Shard,
)
from eucentric_transfer import MAX_STREAMS

MakeFrame = Callable[..., Frame]


def shards_of(journal: Any) -> list[Shard]:
    return [
        Shard.model_validate_json(e.document) for e in journal.ledger.outbox("pending") if e.kind == "shard"
    ]


def manifests_of(journal: Any) -> list[DatasetManifest]:
    entries = journal.ledger.outbox("pending")
    return [DatasetManifest.model_validate_json(e.document) for e in entries if e.kind == "dataset"]


def record(
    journal: Any, make_frame: MakeFrame, sequences: Any, streams: tuple[str, ...] = ("truth", "haadf")
) -> None:
    for sequence in sequences:
        for stream in streams:
            journal.append(make_frame(sequence, stream))
    journal.sync()


def test_a_shard_counts_acquisitions_and_keeps_their_streams_together(
    site: Any, make_frame: MakeFrame
) -> None:
    journal = site.open_journal(frames_per_shard=4)
    record(journal, make_frame, range(10))
    journal.stop_session("twin", "s1", frames=10)
    spans = [(s.first_sequence, s.last_sequence, s.frames, s.streams) for s in shards_of(journal)]
    both = ("haadf", "truth")
    assert spans == [(0, 3, 4, both), (4, 7, 4, both), (8, 9, 2, both)]
    (manifest,) = manifests_of(journal)
    assert manifest.frames == 10
    assert manifest.missing_sequences == ()
    assert {s.material for s in manifest.shards} == {"mos2"}
    assert all(s.simulated for s in manifest.shards)
    journal.close()


def test_gaps_are_listed_wherever_they_are(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal(frames_per_shard=2)
    record(journal, make_frame, [1, 2, 5, 6, 7])
    journal.stop_session("twin", "s1", frames=10)
    (manifest,) = manifests_of(journal)
    assert manifest.missing_sequences == (0, 3, 4, 8, 9)
    assert manifest.frames == 5
    journal.close()


def test_a_frame_that_comes_again_is_stored_once(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal(frames_per_shard=2)
    for sequence in (0, 1, 2):
        assert journal.append(make_frame(sequence)) == "stored"
    assert [journal.append(make_frame(sequence)) for sequence in (2, 1, 0)] == ["duplicate"] * 3
    journal.stop_session("twin", "s1", frames=3)
    assert sum(shard.frames for shard in shards_of(journal)) == 3
    journal.close()


def test_a_frame_that_comes_after_it_was_given_up_stays_missing(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal(frames_per_shard=2)
    record(journal, make_frame, [0, 2, 3])
    assert journal.append(make_frame(1)) == "late"
    journal.stop_session("twin", "s1", frames=4)
    assert manifests_of(journal)[0].missing_sequences == (1,)
    journal.close()


def test_a_full_shard_is_sealed_when_nothing_follows_but_not_before_all_streams_are_in(
    site: Any, make_frame: MakeFrame
) -> None:
    journal = site.open_journal(frames_per_shard=2)
    record(journal, make_frame, [0])
    journal.append(make_frame(1, "truth"))
    journal.tidy()
    assert shards_of(journal) == []
    journal.append(make_frame(1, "haadf"))
    journal.tidy()
    assert [shard.frames for shard in shards_of(journal)] == [2]
    journal.close()


def test_shards_of_one_acquisition_wait_until_the_streams_are_known(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal(frames_per_shard=1)
    journal.append(make_frame(0, "truth"))
    journal.tidy()
    record(journal, make_frame, [0, 1])
    journal.stop_session("twin", "s1", frames=2)
    assert [(s.frames, s.streams) for s in shards_of(journal)] == [(1, ("haadf", "truth"))] * 2
    journal.close()


def test_a_new_session_ends_the_one_before(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal()
    record(journal, make_frame, range(3))
    journal.start_session(
        SessionStarted(source="agent", instrument="twin", session="s2", material="graphene")
    )
    journal.append(make_frame(0, session="s2"))
    journal.tidy()
    assert [(m.session, m.frames) for m in manifests_of(journal)] == [("s1", 3)]
    journal.stop_session("twin", "s2", frames=1)
    assert [(m.session, m.shards[0].material) for m in manifests_of(journal)] == [
        ("s1", "mos2"),
        ("s2", "graphene"),
    ]
    journal.close()


def test_a_session_that_is_over_takes_no_more_frames(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal()
    journal.stop_session("twin", "s1", frames=0)
    journal.stop_session("twin", "s1", frames=0)
    with pytest.raises(DataFormatError, match="is over"):
        journal.append(make_frame(0))
    with pytest.raises(DataFormatError, match="is over"):
        journal.start_session(SessionStarted(source="agent", instrument="twin", session="s1"))
    assert [manifest.frames for manifest in manifests_of(journal)] == [0]
    journal.close()


def test_an_unbelievable_sequence_number_is_refused_and_recording_goes_on(
    site: Any, make_frame: MakeFrame
) -> None:
    journal = site.open_journal()
    with pytest.raises(DataFormatError, match="above"):
        journal.append(make_frame(10**12))
    with pytest.raises(DataFormatError, match="above"):
        journal.stop_session("twin", "s1", frames=10**12)
    assert journal.append(make_frame(0)) == "stored"
    journal.stop_session("twin", "s1", frames=1)
    assert manifests_of(journal)[0].missing_sequences == ()
    journal.close()


def test_frames_of_another_shape_and_tables_of_no_rows_are_recorded_too(
    site: Any, make_frame: MakeFrame
) -> None:
    journal = site.open_journal()
    for sequence, shape in enumerate([(8, 8), (16, 4), (8, 8)]):
        journal.append(make_frame(sequence, "truth"))
        journal.append(make_frame(sequence, shape=shape))
    journal.stop_session("twin", "s1", frames=3)
    site.settle(journal)
    with site.catalogue() as catalogue:
        assert [f.array.shape for f in catalogue.frames("s1", "haadf")] == [(8, 8), (16, 4), (8, 8)]
        assert [f.array.shape for f in catalogue.frames("s1", "truth")] == [(0, 3), (1, 3), (2, 3)]
    journal.close()


def test_too_little_room_refuses_a_frame_and_loses_none(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal()
    record(journal, make_frame, [0], streams=("haadf",))
    journal.min_free_bytes = 1 << 60
    with pytest.raises(OutOfSpaceError):
        journal.append(make_frame(1))
    journal.min_free_bytes = 0
    assert journal.append(make_frame(1)) == "stored"
    journal.stop_session("twin", "s1", frames=2)
    assert manifests_of(journal)[0].missing_sequences == ()
    journal.close()


def test_two_recorders_cannot_share_a_folder(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal()
    with pytest.raises(ConfigurationError, match="Another process"):
        site.open_journal()
    assert journal.append(make_frame(0)) == "stored"
    journal.close()
    site.open_journal().close()


@pytest.fixture
def flushes() -> Iterator[list[str]]:
    """The files that any thread flushes, in order; the threads must start after this."""
    calls: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call" and getattr(argument, "__name__", "") == "fdatasync":
            calls.append(Path(frame.f_code.co_filename).stem)

    threading.setprofile(note)
    yield calls
    threading.setprofile(None)


def test_nothing_is_called_durable_before_the_disk_said_so(
    site: Any, make_frame: MakeFrame, flushes: list[str]
) -> None:
    """A killed process keeps its page cache, so that only the order of the calls shows a missing flush."""
    journal = site.open_journal()
    journal.append(make_frame(0))
    journal.sync()
    # The chunks first, then the records that vouch for them.
    assert flushes == ["_shard_builder", "_segment"]
    journal.sync()
    assert len(flushes) == 2
    journal.append(make_frame(1))
    commit = journal.begin_commit()
    commit.wait()
    assert commit.done
    assert len(flushes) == 4
    journal.close()


def test_shards_are_sealed_while_the_next_one_is_filled(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal(frames_per_shard=2)
    for sequence in range(9):
        assert journal.append(make_frame(sequence)) == "stored"
    journal.wait_sealed()
    assert [shard.index for shard in shards_of(journal)] == [0, 1, 2, 3]
    assert journal.shards_unsealed == 1
    journal.close()
    journal = site.open_journal(frames_per_shard=2)
    assert journal.recovery.frames_recovered == 1
    journal.stop_session("twin", "s1", frames=9)
    assert [(s.first_sequence, s.last_sequence) for s in shards_of(journal)][-1] == (8, 8)
    journal.close()


def test_more_streams_than_a_shard_has_groups_are_set_aside(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal()
    outcomes = [journal.append(make_frame(0, f"s{n}")) for n in range(MAX_STREAMS + 1)]
    assert outcomes == ["stored"] * MAX_STREAMS + ["quarantined"]
    assert journal.append(make_frame(1, "another")) == "stored"
    journal.stop_session("twin", "s1", frames=2)
    assert [len(shard.streams) for shard in shards_of(journal)] == [MAX_STREAMS, 1]
    journal.close()


def test_what_the_first_frames_say_of_the_sample_is_kept_and_not_replaced(
    site: Any, make_frame: MakeFrame
) -> None:
    journal = site.open_journal(frames_per_shard=1)
    journal.start_session(SessionStarted(source="agent", instrument="twin", session="s1"))
    for sequence, (sample, material) in enumerate([(None, "mos2"), ("grid-7", "gold")]):
        journal.append(make_frame(sequence, sample=sample, material=material))
    journal.stop_session("twin", "s1", frames=2)
    assert [(s.sample, s.material) for s in shards_of(journal)] == [("grid-7", "mos2")] * 2


def test_a_stream_that_comes_after_its_shard_was_sealed_without_it_is_late(
    site: Any, make_frame: MakeFrame
) -> None:
    journal = site.open_journal(frames_per_shard=2)
    for sequence in range(4):
        journal.append(make_frame(sequence))
        if sequence != 1:
            journal.append(make_frame(sequence, "truth"))
    journal.append(make_frame(4))
    journal.wait_sealed()
    assert journal.append(make_frame(0, "truth")) == "duplicate"
    assert journal.append(make_frame(1, "truth")) == "late"
    assert journal.append(make_frame(2, "bf")) == "late"
    journal.stop_session("twin", "s1", frames=5)
    (manifest,) = manifests_of(journal)
    assert manifest.missing_sequences == (1, 2)
    journal.close()


def test_after_a_restart_a_stream_that_no_shard_has_is_late(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal(frames_per_shard=2)
    for sequence in range(3):
        journal.append(make_frame(sequence))
    journal.wait_sealed()
    journal.close()
    journal = site.open_journal(frames_per_shard=2)
    assert journal.append(make_frame(1)) == "duplicate"
    assert journal.append(make_frame(1, "truth")) == "late"
    journal.close()


def test_what_is_durable_waits_to_be_sealed_up_to_a_bound(
    site: Any, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, seal = threading.Event(), ShardSealing.__call__

    def slowly(sealing: ShardSealing, job: SealJob) -> None:
        assert go_on.wait(20)
        seal(sealing, job)

    monkeypatch.setattr(ShardSealing, "__call__", slowly)
    journal = site.open_journal(frames_per_shard=1, max_unsealed_bytes=1 << 20)
    for sequence in range(5):
        journal.append(make_frame(sequence))
        # Durable, though nothing is sealed.
        journal.sync()
    assert journal.shards_unsealed == 5
    assert 0 < journal.unsealed_bytes < 1 << 20
    go_on.set()
    journal.stop_session("twin", "s1", frames=5)
    assert journal.unsealed_bytes == 0
    assert journal.shards_sealed == 5
    journal.close()


def test_beyond_the_bound_the_sealing_is_waited_for(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal()
    journal.append(make_frame(0))
    (recording,) = journal._recordings.values()
    one_more = threading.Semaphore(0)

    def seal(_: SealJob) -> None:
        assert one_more.acquire(timeout=20)

    sealer = Sealer(seal)
    for _ in range(4):
        sealer.submit(SealJob(1, 0, recording.growing[0].segment, {0: {"haadf"}}, (), True, 10))
    assert sealer.waiting_bytes == 40
    one_more.release(2)
    sealer.wait(most_bytes=25)
    assert sealer.waiting_bytes == 20
    one_more.release(2)
    sealer.wait()
    assert (sealer.waiting, sealer.holds(1)) == (0, False)
    sealer.close()
    journal.close()
