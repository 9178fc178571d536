"""A frame that cannot be part of a data set is set aside with its reason; the others flow."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from eucentric_agents.drivers import open_driver
from eucentric_core import AgentSettings, DatasetManifest, Frame, FrameHeader, OutOfSpaceError
from eucentric_core.vocabulary import BeamUnblank, ScanAcquire, SessionStart, SessionStop

MakeFrame = Callable[..., Frame]


def with_values(frame: Frame, value: float) -> Frame:
    array = frame.array.copy()
    array[2, 3] = value
    return Frame(frame.header, array)


POISON: dict[str, tuple[str, Callable[[MakeFrame], Frame]]] = {
    "NaN": ("not_finite", lambda make: with_values(make(1, scan=0), np.nan)),
    "infinite": ("not_finite", lambda make: with_values(make(1, scan=0), np.inf)),
    "a number": ("no_dimensions", lambda make: make(1, shape=(), scan=0)),
    "no pixels": ("empty", lambda make: make(1, shape=(0, 16), scan=0)),
    "another shape": ("changed_shape", lambda make: make(1, shape=(16, 16), scan=0)),
    "another dtype": ("changed_shape", lambda make: make(1, dtype="uint16", scan=0)),
}


@pytest.mark.parametrize("kind", POISON)
def test_poison_is_kept_with_its_reason_and_listed_as_missing(
    site: Any, make_frame: MakeFrame, kind: str
) -> None:
    reason_kind, make = POISON[kind]
    poison = make(make_frame)
    journal = site.open_journal()
    assert journal.append(make_frame(0, scan=0)) == "stored"
    assert journal.append(poison) == "quarantined"
    assert journal.append(poison) == "duplicate"
    assert journal.append(make_frame(1, "truth", scan=0)) == "stored"
    assert journal.append(make_frame(2, scan=0)) == "stored"
    journal.sync()
    journal.close()
    journal = site.open_journal()
    assert journal.append(poison) == "duplicate"
    journal.stop_session("twin", "s1", frames=3)
    (entry,) = [e for e in journal.ledger.outbox("pending") if e.kind == "dataset"]
    assert DatasetManifest.model_validate_json(entry.document).missing_sequences == (1,)
    assert journal.ledger.quarantined_kinds() == {reason_kind: 1}
    # As docs/recording.md tells to get it back.
    (path,) = journal.folders.quarantine.glob("*.reason.json")
    reason = json.loads(path.read_text())
    assert reason["kind"] == reason_kind
    assert reason["what"]
    assert reason["next_step"]
    header = FrameHeader.model_validate_json(reason["header"])
    array = np.fromfile(path.with_name(reason["file"]), header.dtype).reshape(header.shape)
    assert header == poison.header
    np.testing.assert_array_equal(array, poison.array)
    journal.close()


def test_a_new_scan_may_have_a_new_shape_and_a_table_any_number_of_rows(
    site: Any, make_frame: MakeFrame
) -> None:
    journal = site.open_journal()
    outcomes = [journal.append(make_frame(n, shape=(8, 8 + n), scan=n)) for n in range(3)] + [
        journal.append(make_frame(n, "truth", scan=0)) for n in range(3)
    ]
    assert outcomes == ["stored"] * 6
    journal.close()


def test_a_full_quarantine_takes_no_more_and_deletes_nothing(site: Any, make_frame: MakeFrame) -> None:
    journal = site.open_journal(max_quarantine_bytes=20_000)
    poison = [with_values(make_frame(n), np.nan) for n in range(40)]
    with pytest.raises(OutOfSpaceError, match="takes no more"):
        deque(map(journal.append, poison), maxlen=0)
    kept = sorted(path.name for path in journal.folders.quarantine.iterdir())
    assert len(kept) > 2
    with pytest.raises(OutOfSpaceError):
        journal.append(poison[-1])
    assert sorted(path.name for path in journal.folders.quarantine.iterdir()) == kept
    assert journal.append(make_frame(50)) == "stored"
    journal.close()


def test_the_frames_of_a_scan_carry_its_number_which_begins_anew_with_each_session() -> None:
    frames: list[Frame] = []
    instrument = open_driver(AgentSettings(driver={"seed": 1}), frames.append)
    try:
        for session in ("a", "b"):
            instrument.execute(SessionStart(session=session, sample=None, material=None))
            instrument.execute(BeamUnblank(max_duration_s=60))
            for _ in range(2):
                instrument.execute(ScanAcquire(height_px=16, width_px=16, dwell_time_s=1e-6))
            instrument.execute(SessionStop())
    finally:
        instrument.close()
    scans = [frame.header.scan for frame in frames if frame.header.stream == "haadf"]
    assert scans == [0, 1, 0, 1]
