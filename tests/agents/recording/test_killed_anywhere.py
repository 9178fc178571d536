"""`kill -9` between any two steps of spool, seal, ship, receipt, delete: nothing is lost or doubled.

A process records ten acquisitions of two streams in shards of four, ships them and lets the repository
register them. It is killed; the journal is opened again, as after a restart, and the session is ended.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucentric_core import DatasetRegistered, Frame, ShardRegistered

POINTS: dict[str, dict[str, Any]] = {
    "spool: segment made, nothing written": {"function": "_write_all", "event": "call", "occurrence": 1},
    "spool: header written, array not": {"function": "write", "event": "c_return", "occurrence": 3},
    "spool: array written, not durable": {"function": "fsync", "event": "c_call", "occurrence": 4},
    "spool: durable, not acknowledged": {"function": "sync", "event": "return", "occurrence": 6},
    "seal: before the file": {"function": "write_shard", "event": "call", "occurrence": 1},
    "seal: file begun": {"function": "_write_stack", "event": "return", "occurrence": 1},
    "seal: file written, not renamed": {"function": "write_shard", "event": "return", "occurrence": 1},
    "seal: renamed, not recorded": {"function": "record_shard", "event": "call", "occurrence": 1},
    "seal: recorded, segment not removed": {"function": "record_shard", "event": "return", "occurrence": 1},
    "seal: segment removed": {"function": "remove", "event": "return", "occurrence": 2},
    "close: marked, last shard not sealed": {"function": "mark_closing", "event": "return", "occurrence": 1},
    "close: all sealed, no manifest yet": {"function": "close_session", "event": "call", "occurrence": 1},
    "close: manifest in the outbox": {"function": "close_session", "event": "return", "occurrence": 1},
    "ship: copied, not renamed": {"function": "_confirm", "event": "call", "occurrence": 1},
    "ship: shard there, document not": {"function": "put_bytes", "event": "call", "occurrence": 1},
    "ship: document there, not noted": {"function": "put_bytes", "event": "return", "occurrence": 1},
    "register: moved, not registered": {"function": "register_shard", "event": "call", "occurrence": 1},
    "register: registered, no receipt": {"function": "register_shard", "event": "return", "occurrence": 1},
    "register: receipt, document not removed": {
        "function": "write_atomic",
        "event": "return",
        "occurrence": 1,
    },
    "receipt: stored, shard not deleted": {"function": "_free", "event": "call", "occurrence": 1},
    "receipt: shard deleted, not noted": {"function": "_free", "event": "return", "occurrence": 1},
    "data set: delivered, not noted": {"function": "put_bytes", "event": "return", "occurrence": 4},
    "data set: registered, document not removed": {
        "function": "register_dataset",
        "event": "return",
        "occurrence": 1,
    },
}


def finish_and_check(
    site: Any, acknowledged: tuple[tuple[int, str], ...], make: Callable[..., Frame]
) -> None:
    journal = site.open_journal()
    if journal.open_sessions or not site.folders.database.exists():
        journal.stop_session("twin", "s1", frames=None)
    site.settle(journal)

    with site.catalogue() as catalogue:
        registered = [
            (frame.header.sequence, stream)
            for stream in ("truth", "haadf")
            for frame in catalogue.frames("s1", stream)
        ]
        for frame in catalogue.frames("s1", "haadf"):
            np.testing.assert_array_equal(frame.array, make(frame.header.sequence).array)
        (dataset,) = catalogue.datasets()
        events = [event for _, event in catalogue.events()]
        shards = catalogue.shards(session="s1")

    doubled = [key for key, times in Counter(registered).items() if times > 1]
    assert doubled == []
    assert set(acknowledged) <= set(registered)
    assert (dataset.state, dataset.missing) == ("complete", 0)
    assert dataset.frames == len({sequence for sequence, _ in registered})
    assert sum(isinstance(event, ShardRegistered) for event in events) == len(shards)
    assert sum(isinstance(event, DatasetRegistered) for event in events) == 1
    assert journal.ledger.outbox("pending") == journal.ledger.outbox("delivered") == []
    # Everything is confirmed, so nothing is kept here; and nothing is left half-done there.
    leftovers = [path for path in site.root.rglob("*") if path.is_file() and is_leftover(path)]
    assert leftovers == []
    journal.close()


def is_leftover(path: Path) -> bool:
    return path.parent.name in ("spool", "incoming", "quarantine") or (
        path.parent.name == "shards" and path.parent.parent.name == "recording"
    )


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_labelled_point(
    site: Any, recording_processes: Any, make_frame: Callable[..., Frame], point: str
) -> None:
    outcome = recording_processes.run(site, POINTS[point])
    assert outcome.status == -signal.SIGKILL, "the point was never reached"
    finish_and_check(site, outcome.acknowledged, make_frame)


def test_kills_at_any_step(
    tmp_path: Path, recording_processes: Any, make_frame: Callable[..., Frame], request: pytest.FixtureRequest
) -> None:
    new_site = type(request.getfixturevalue("site"))
    undisturbed = new_site(tmp_path / "undisturbed")
    whole = recording_processes.run(undisturbed, {})
    assert whole.status == 0
    assert len(whole.acknowledged) == 20
    finish_and_check(undisturbed, whole.acknowledged, make_frame)

    steps = np.random.default_rng(7).integers(1, whole.steps, 16)
    for step in sorted(steps):
        site = new_site(tmp_path / f"step-{step}")
        outcome = recording_processes.run(site, {"step": int(step)})
        assert outcome.status == -signal.SIGKILL
        finish_and_check(site, outcome.acknowledged, make_frame)


def test_killed_again_and_again_in_one_folder(
    site: Any, recording_processes: Any, make_frame: Callable[..., Frame]
) -> None:
    acknowledged: tuple[tuple[int, str], ...] = ()
    for step in (900, 2500, 4000, 5000):
        outcome = recording_processes.run(site, {"step": step})
        assert outcome.status == -signal.SIGKILL
        acknowledged = outcome.acknowledged
    assert acknowledged
    finish_and_check(site, acknowledged, make_frame)
