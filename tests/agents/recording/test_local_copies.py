"""What the repository has may stay here as a copy; only that is ever freed, oldest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eucentric_core import Frame, OutOfSpaceError

MakeFrame = Callable[..., Frame]


def shards(journal: Any) -> list[str]:
    return sorted(path.name for path in journal.folders.shards.glob("*.h5"))


def record(journal: Any, make_frame: MakeFrame, session: str = "s1") -> None:
    for sequence in range(12):
        journal.append(make_frame(sequence, session=session))
    journal.stop_session("twin", session, frames=12)


def test_receipted_shards_stay_up_to_a_bound_and_go_oldest_first(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal()
    record(journal, make_frame)
    names = shards(journal)
    size = sum((journal.folders.shards / name).stat().st_size for name in names[1:])
    journal.close()
    journal = site.open_journal(keep_receipted_bytes=size)
    site.settle(journal)
    assert shards(journal) == names[1:]
    assert journal.local_copies.size_bytes == size
    # The catalogue has all of them.
    with site.catalogue() as catalogue:
        assert len(catalogue.shards(session="s1")) == 3
    journal.close()


def test_copies_are_freed_when_room_is_needed_and_nothing_else_ever_is(
    site: Any, make_frame: MakeFrame
) -> None:
    journal = site.open_journal(keep_receipted_bytes=1 << 30)
    record(journal, make_frame)
    site.settle(journal)
    assert len(shards(journal)) == 3
    record(journal, make_frame, "s2")
    unsent = [name for name in shards(journal) if "_s2_" in name]
    assert len(shards(journal)) == 6
    journal.min_free_bytes = 1 << 60
    with pytest.raises(OutOfSpaceError):
        journal.append(make_frame(0, session="s3"))
    assert shards(journal) == unsent
    journal.close()
