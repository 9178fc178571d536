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

from eucentric_agents.recording import STEPS
from eucentric_core import DatasetRegistered, Frame, ShardRegistered

# How often a step is passed before the process dies there; rebuilding happens in the recovery, see below.
OCCURRENCES = {"journal": (1, 9), "seal": (1, 3), "session": (1,), "quarantine": (1,)}
OCCURRENCES |= {"ship": (1, 2), "receipt": (1, 2), "delete": (1, 2)}
POINTS = [
    (step, occurrence)
    for step in STEPS
    for occurrence in OCCURRENCES.get(step.partition(".")[0], ())
    if (step, occurrence) != ("journal.opened", 9)
]
"""`register` is the repository's own: `tests/data_repository` and `tests/faults` kill it there."""


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
            np.testing.assert_array_equal(
                frame.array, make(frame.header.sequence, shape=frame.header.shape).array
            )
        (dataset,) = catalogue.datasets()
        events = [event for _, event in catalogue.events()]
        shards = catalogue.shards(session="s1")

    doubled = [key for key, times in Counter(registered).items() if times > 1]
    assert doubled == []
    assert set(acknowledged) <= set(registered)
    assert dataset.state == "complete"
    # What was poison is listed, and nothing else.
    quarantined = {sequence for sequence, _ in journal.ledger.quarantined(1)}
    assert dataset.missing == len(quarantined) <= 1
    assert quarantined <= {5}
    assert dataset.frames == len({sequence for sequence, _ in registered})
    assert sum(isinstance(event, ShardRegistered) for event in events) == len(shards)
    assert sum(isinstance(event, DatasetRegistered) for event in events) == 1
    assert journal.ledger.outbox("pending") == journal.ledger.outbox("delivered") == []
    # Everything is confirmed, so nothing is kept here; and nothing is left half-done there.
    leftovers = [path for path in site.root.rglob("*") if path.is_file() and is_leftover(path)]
    assert leftovers == []
    kept = {path.name.partition("-")[0] for path in journal.folders.quarantine.iterdir()}
    assert kept <= {"frame"}
    journal.close()


def is_leftover(path: Path) -> bool:
    return path.parent.name in ("open", "incoming") or (
        path.parent.name == "shards" and path.parent.parent.name == "recording"
    )


@pytest.mark.parametrize(("step", "occurrence"), POINTS)
def test_a_kill_at_a_labelled_step(
    site: Any, recording_processes: Any, make_frame: Callable[..., Frame], step: str, occurrence: int
) -> None:
    outcome = recording_processes.run(site, {"label": step, "occurrence": occurrence})
    assert outcome.status == -signal.SIGKILL, "the point was never reached"
    finish_and_check(site, outcome.acknowledged, make_frame)


@pytest.mark.parametrize(
    ("step", "occurrence"),
    [(step, occurrence) for step, occurrence in POINTS if step.startswith(("journal.", "seal.clo"))],
)
def test_a_kill_while_frames_are_stored_as_they_are_to_keep_up(
    site: Any, recording_processes: Any, make_frame: Callable[..., Frame], step: str, occurrence: int
) -> None:
    kill = {"label": step, "occurrence": occurrence}
    outcome = recording_processes.run(site, kill, compression="auto", most_packing_bytes=0)
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

    steps = np.random.default_rng(7).integers(1, int(0.9 * whole.steps), 8)
    for step in sorted(steps):
        site = new_site(tmp_path / f"step-{step}")
        outcome = recording_processes.run(site, {"step": int(step)})
        assert outcome.status == -signal.SIGKILL
        finish_and_check(site, outcome.acknowledged, make_frame)


def test_killed_again_and_again_in_one_folder(
    site: Any, recording_processes: Any, make_frame: Callable[..., Frame]
) -> None:
    acknowledged: tuple[tuple[int, str], ...] = ()
    for step in (1500, 4000, 6000, 7000):
        outcome = recording_processes.run(site, {"step": step})
        assert outcome.status == -signal.SIGKILL
        acknowledged = outcome.acknowledged
    assert acknowledged
    finish_and_check(site, acknowledged, make_frame)


COPIED = [("seal.closed", step) for step in ("journal.opened", "recovery.copied", "recovery.replaced")]
SEALED = [("seal.vouched", step) for step in ("recovery.hashed", "recovery.announced")]


@pytest.mark.parametrize(("first", "step"), COPIED + SEALED)
def test_a_kill_while_an_earlier_kill_is_being_mended(
    site: Any, recording_processes: Any, make_frame: Callable[..., Frame], first: str, step: str
) -> None:
    recording_processes.run(site, {"label": first, "occurrence": 1})
    outcome = recording_processes.run(site, {"label": step, "occurrence": 1})
    assert outcome.status == -signal.SIGKILL
    finish_and_check(site, outcome.acknowledged, make_frame)
