"""The dose ledger: through sessions, restarts and kills, and never less than any point has got."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from eucentric_agents.interlocks import Interlocks, Limits
from eucentric_agents.interlocks._dose import dose_e_per_a2
from eucentric_agents.interlocks._field import Field
from eucentric_agents.interlocks._ledger import DoseLedger
from eucentric_core import ConfigurationError, InterlockError
from eucentric_core.vocabulary import BeamBlank, BeamShift, BeamUnblank, SessionStart, StageMove

from .bench import BUDGET, CAPABILITIES, DOSE_PER_S, Clock, a_state, lit


def opened(path: Path, limits: Limits = BUDGET) -> tuple[Interlocks, Clock]:
    """Interlocks with a ledger on disk."""
    clock = Clock()
    return Interlocks(limits, CAPABILITIES, path=path, clock=clock), clock


def test_each_session_begins_with_nothing_spent_and_gets_its_own_back(tmp_path: Path) -> None:
    locks, clock = opened(tmp_path / "dose.sqlite")
    locks.observe(a_state(session="a"))
    lit(clock, locks, a_state(session="a"), 4.0)
    locks.observe(a_state(on=False, session="b"))
    assert locks.state.session == "b"
    assert locks.state.region_dose_e_per_a2 == 0
    locks.observe(a_state(on=False, session="a"))
    assert locks.state.region_dose_e_per_a2 == pytest.approx(4 * DOSE_PER_S)
    locks.close()


def test_what_was_spent_before_a_session_belongs_to_it(tmp_path: Path) -> None:
    locks, clock = opened(tmp_path / "dose.sqlite")
    locks.observe(a_state(session=None))
    lit(clock, locks, a_state(session=None), 3.0)
    locks.admit(SessionStart(session="a"), a_state(session=None))
    locks.observe(a_state(on=False, session="a"))
    assert locks.state.region_dose_e_per_a2 == pytest.approx(3 * DOSE_PER_S)
    locks.observe(a_state(on=False, session=None))
    assert locks.state.region_dose_e_per_a2 == 0
    locks.close()


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    locks, clock = opened(tmp_path / "dose.sqlite")
    locks.observe(a_state(x_m=3e-6))
    lit(clock, locks, a_state(x_m=3e-6), 6.0)
    locks.admit(BeamShift(x_m=0, y_m=0), a_state(on=False, x_m=3e-6))
    before = locks.state
    locks.close()
    again, _ = opened(tmp_path / "dose.sqlite")
    again.observe(a_state(on=False, x_m=3e-6))
    assert again.state == before
    with pytest.raises(InterlockError):
        again.admit(BeamUnblank(max_duration_s=4), a_state(on=False, x_m=3e-6))
    again.close()


def test_an_agent_that_is_killed_with_the_beam_on_counts_what_may_have_followed(tmp_path: Path) -> None:
    path, copy = tmp_path / "dose.sqlite", tmp_path / "copy.sqlite"
    locks, clock = opened(path)
    locks.observe(a_state())
    lit(clock, locks, a_state(), 2.5)
    # What a kill leaves behind is what is on disk now.
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        copy.with_name(copy.name + suffix).write_bytes(source.read_bytes())
    locks.close()
    again, _ = opened(copy)
    again.observe(a_state(on=False))
    spent = again.state.region_dose_e_per_a2 / DOSE_PER_S
    again.close()
    assert 2.5 + 3.0 - 1e-9 <= spent <= 2.5 + 4.0


def test_squares_of_another_size_never_forget_a_dose(tmp_path: Path) -> None:
    coarse, clock = opened(tmp_path / "dose.sqlite")
    coarse.observe(a_state())
    lit(clock, coarse, a_state(), 5.0)
    coarse.observe(a_state(on=False))
    coarse.observe(a_state(on=False, x_m=3.5e-6))
    lit(clock, coarse, a_state(x_m=3.5e-6), 1.0)
    coarse.observe(a_state(on=False, x_m=3.5e-6))
    coarse.close()
    finer = BUDGET.model_copy(update={"dose": BUDGET.dose.model_copy(update={"region_size_m": 1.5e-6})})
    for more_s in (0.0, 1.0):
        again, clock = opened(tmp_path / "dose.sqlite", finer)
        for place in (0.0, 3.5e-6, 9e-6):
            again.observe(a_state(on=False, x_m=place))
            assert again.state.region_dose_e_per_a2 >= 5 * DOSE_PER_S * (1 - 1e-9)
        again.observe(a_state(on=False))
        assert again.state.region_dose_e_per_a2 == pytest.approx((5 + more_s) * DOSE_PER_S)
        lit(clock, again, a_state(), 1.0)
        again.observe(a_state(on=False))
        again.close()


def test_a_damaged_or_taken_ledger_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "damaged.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigurationError):
        opened(tmp_path / "damaged.sqlite")
    held, _ = opened(tmp_path / "held.sqlite")
    with pytest.raises(ConfigurationError):
        opened(tmp_path / "held.sqlite")
    held.close()


def test_a_ledger_that_cannot_be_written_lets_no_more_beam_on(tmp_path: Path) -> None:
    locks, clock = opened(tmp_path / "dose.sqlite")
    locks.observe(a_state(on=False))
    database = locks._book._store._database
    database.execute("PRAGMA max_page_count = 1")
    database.execute("PRAGMA query_only = ON")
    locks.admit(BeamUnblank(max_duration_s=1), a_state(on=False))
    trip = lit(clock, locks, a_state(), 0.1)
    assert trip is not None
    assert trip.interlock == "dose.ledger"
    locks.observe(a_state(on=False))
    with pytest.raises(InterlockError, match="cannot be written"):
        locks.admit(BeamUnblank(max_duration_s=1), a_state(on=False))
    locks.admit(BeamBlank(), a_state())
    # The disk is well again: the next look finds out.
    database.execute("PRAGMA query_only = OFF")
    clock.sleep(1.1)
    locks.observe(a_state(on=False))
    locks.admit(BeamUnblank(max_duration_s=1), a_state(on=False))
    locks.close()


def test_the_ledger_never_counts_less_than_any_point_has_got_and_stays_small() -> None:
    rng = np.random.default_rng(3)
    ledger = DoseLedger("s", 1e-6, max_regions=64)
    points = rng.uniform(-2e-5, 2e-5, (200, 2))
    truth = np.zeros(len(points))
    electrons = 0.0
    for _ in range(400):
        x, y = rng.uniform(-2e-5, 2e-5, 2)
        width, height = rng.uniform(1e-7, 4e-6, 2) * rng.choice([1.0, 5.0], p=[0.95, 0.05])
        field = Field(x, y, width, height)
        dose = dose_e_per_a2(1e-10, rng.uniform(0, 1), field)
        inside = (abs(points[:, 0] - x) <= width / 2) & (abs(points[:, 1] - y) <= height / 2)
        truth[inside] += dose
        electrons += dose * field.area_m2
        ledger.add(field, dose, 0.1)
        assert len(ledger.regions) <= 64
    counted = [ledger.most_exposed(Field(x, y, 1e-9, 1e-9))[0] for x, y in points]
    assert np.all(np.array(counted) >= truth * (1 - 1e-12))
    # The scanned area is at most all of it.
    assert ledger.mean_e_per_a2 >= electrons / (4.8e-5) ** 2
    assert ledger.beam_on_s == pytest.approx(40.0)


def test_any_thread_may_ask_watch_and_tighten_at_once(tmp_path: Path) -> None:
    locks = Interlocks(BUDGET, CAPABILITIES, path=tmp_path / "dose.sqlite")
    locks.observe(a_state())

    def ask(number: int) -> None:
        locks.observe(a_state(x_m=number * 1e-6))
        locks.admit(StageMove(x_m=number * 1e-6), a_state(x_m=number * 1e-6))
        locks.tighten({"beam": {"max_unblank_s": 1.0 / (1 + number // 40)}})
        locks.show()

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(40))) == [None] * 40
    locks.close()


def test_the_limits_of_a_file_are_in_force_and_the_ledger_is_closed_in_order(tmp_path: Path) -> None:
    path = tmp_path / "interlocks.toml"
    path.write_text("[beam]\nmax_unblank_s = 2.0\n")
    locks = Interlocks.open(path, CAPABILITIES, ledger=tmp_path / "dose.sqlite")
    with pytest.raises(InterlockError):
        locks.admit(BeamUnblank(max_duration_s=3), a_state(on=False))
    locks.close()
    with sqlite3.connect(tmp_path / "dose.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    database.close()
