"""The disk fails while something is in flight: nothing acknowledged is lost, and all goes on by itself."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eucentric_agents.recording import JournalError
from eucentric_agents.recording._group import Group, Outcome
from eucentric_core import DataFormatError, Frame, Shard
from eucentric_transfer import ShardReader, flush_to_disk

MakeFrame = Callable[..., Frame]
FLUSH = "eucentric_agents.recording._segment.flush_to_disk"


def shards_of(journal: Any) -> list[tuple[Shard, list[tuple[int, str]]]]:
    """Every sealed shard's document, and which frames its file holds."""
    found = []
    for entry in journal.ledger.outbox("pending"):
        if entry.kind == "shard":
            with ShardReader(journal.folders.shards / entry.name) as reader:
                held = sorted((h.sequence, h.stream) for name in reader.streams for h in reader.headers(name))
            found.append((Shard.model_validate_json(entry.document), held))
    return found


def test_a_flush_that_fails_behind_a_session_that_stops_is_noticed_before_it_is_sealed(
    site: Any, make_frame: MakeFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = site.open_journal(frames_per_shard=100)
    for stream in ("haadf", "truth"):
        journal.append(make_frame(0, stream))
    journal.append(make_frame(1))
    journal.sync()
    waited_for, begin = threading.Event(), journal._durability.begin

    def begin_commit() -> Any:
        commit = begin()
        waited_for.set()
        return commit

    def no_room(path: Path) -> None:
        assert waited_for.wait(20)
        monkeypatch.setattr(FLUSH, flush_to_disk)
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(FLUSH, no_room)
    journal.append(make_frame(1, "truth"))
    in_flight = begin()
    monkeypatch.setattr(journal._durability, "begin", begin_commit)
    with pytest.raises(JournalError):
        journal.stop_session("twin", "s1", frames=2)
    # As the recorder goes on: all that is not durable is taken again.
    journal.sync()
    assert journal.append(make_frame(1, "truth")) == "stored"
    journal.stop_session("twin", "s1", frames=2)
    with pytest.raises(Exception, match="No room"):
        in_flight.wait()
    ((_, held),) = shards_of(journal)
    assert held == [(n, stream) for n in (0, 1) for stream in ("haadf", "truth")]
    journal.close()


def test_a_frame_that_comes_again_after_its_session_is_over_is_known(
    site: Any, make_frame: MakeFrame
) -> None:
    journal = site.open_journal(frames_per_shard=2)
    for sequence in (0, 1, 3):
        journal.append(make_frame(sequence))
    journal.stop_session("twin", "s1", frames=5)
    assert [journal.append(make_frame(n)) for n in (0, 1, 3)] == ["duplicate"] * 3
    for never_came in (2, 4):
        with pytest.raises(DataFormatError, match="is over"):
            journal.append(make_frame(never_came))
    journal.close()


@pytest.mark.parametrize(
    ("first", "again", "remembered"),
    [
        ("stored", "duplicate", "stored"),
        ("quarantined", "duplicate", "quarantined"),
        ("stored", "refused", "refused"),
        ("stored", "late", "late"),
    ],
)
def test_what_became_of_a_frame_that_is_taken_again_is_what_is_true_now(
    first: Outcome, again: Outcome, remembered: Outcome
) -> None:
    group = Group()
    group.note(0, first)
    group.note(0, again)
    assert group.outcomes == {0: remembered}
