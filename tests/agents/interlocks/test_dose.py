"""Every electron is counted where it fell, and the beam goes off before a budget is spent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eucentric_agents.interlocks import Interlocks
from eucentric_agents.interlocks._field import Field
from eucentric_core import InterlockError
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamShift,
    BeamUnblank,
    CameraAcquire,
    OpticsFieldOfView,
    ScanAcquire,
    ScanStream,
    SessionStart,
    SimulationDrift,
    StageMove,
)

from ..rig import OpenTwin, state_of, wait_for_scan
from .bench import BUDGET, DOSE_PER_S, FIELD_M, TICK_S, Bench, Clock, a_state, interlocks, lit, some_limits


@pytest.fixture
def clock() -> Clock:
    """A clock for the test."""
    return Clock()


@pytest.fixture
def locks(clock: Clock) -> Iterator[Interlocks]:
    """Interlocks with a budget of ten seconds of beam per region."""
    made = interlocks(BUDGET, clock)
    yield made
    made.close()


def test_dose_grows_with_current_and_time_over_the_field(locks: Interlocks, clock: Clock) -> None:
    locks.observe(a_state())
    lit(clock, locks, a_state(), 2.0)
    assert locks.state.region_dose_e_per_a2 == pytest.approx(2 * DOSE_PER_S)
    lit(clock, locks, a_state(current_a=2e-10), 1.0)
    assert locks.state.region_dose_e_per_a2 == pytest.approx(4 * DOSE_PER_S)
    assert (locks.state.region_beam_on_s, locks.state.session_beam_on_s) == pytest.approx((3.0, 3.0))


def test_a_blanked_beam_leaves_nothing(locks: Interlocks, clock: Clock) -> None:
    locks.observe(a_state(on=False))
    lit(clock, locks, a_state(on=False), 5.0)
    assert locks.state.region_dose_e_per_a2 == 0
    assert locks.state.session_beam_on_s == 0


def test_each_place_has_a_budget_of_its_own_and_the_session_one_over_all(
    locks: Interlocks, clock: Clock
) -> None:
    for place, seconds in ((0.5e-6, 2.0), (5.5e-6, 3.0)):
        locks.observe(a_state(on=False, x_m=place, y_m=0.5e-6))
        lit(clock, locks, a_state(x_m=place, y_m=0.5e-6), seconds)
        locks.observe(a_state(on=False, x_m=place, y_m=0.5e-6))
        assert locks.state.region_dose_e_per_a2 == pytest.approx(seconds * DOSE_PER_S)
    assert locks.state.session_dose_e_per_a2 == pytest.approx(2.5 * DOSE_PER_S)


def test_the_beam_goes_off_before_the_budget_is_spent(locks: Interlocks, clock: Clock) -> None:
    locks.observe(a_state())
    assert lit(clock, locks, a_state(), 9.7) is None
    trip = lit(clock, locks, a_state(), 0.2)
    assert trip is not None
    assert trip.interlock == "dose.region_e_per_a2"
    assert locks.state.region_dose_e_per_a2 < 10 * DOSE_PER_S
    assert locks.state.last_trip == trip


def test_an_endless_scan_goes_on_until_its_next_frame_would_not_fit(locks: Interlocks, clock: Clock) -> None:
    frame_s = 512 * 512 * 1e-5
    locks.observe(a_state())
    locks.admit(ScanStream(dwell_time_s=1e-5), a_state())
    trip, elapsed_s = None, 0.0
    while trip is None:
        clock.sleep(TICK_S)
        elapsed_s += TICK_S
        scanning = a_state(scanning=True, sequence=int(elapsed_s / frame_s))
        trip = locks.observe(scanning)
    # Three frames of 2.6 s fit into ten seconds; the fourth is not begun.
    assert 3 * frame_s - 0.3 - TICK_S < elapsed_s < 3 * frame_s


def test_frames_that_come_faster_than_their_dwell_times_add_up_to_count_in_full(
    locks: Interlocks, clock: Clock
) -> None:
    locks.observe(a_state())
    locks.admit(ScanStream(max_frames=9, dwell_time_s=1e-6), a_state())
    for finished in range(1, 10):
        clock.sleep(TICK_S)
        locks.observe(a_state(scanning=finished < 9, sequence=finished))
    frames = 9 * 512 * 512 * 1e-6 * DOSE_PER_S
    assert locks.state.region_dose_e_per_a2 == pytest.approx(frames)


def test_a_narrow_scan_between_two_looks_counts_with_the_density_it_had(
    locks: Interlocks, clock: Clock
) -> None:
    strip = ScanAcquire(height_px=64, width_px=256, dwell_time_s=1e-5)
    locks.observe(a_state())
    locks.admit(strip, a_state())
    clock.sleep(64 * 256 * 1e-5)
    locks.observe(a_state(sequence=1))
    assert locks.state.region_dose_e_per_a2 == pytest.approx(64 * 256 * 1e-5 * 4 * DOSE_PER_S)


def test_a_camera_frame_is_not_mistaken_for_the_scan_before_it(locks: Interlocks, clock: Clock) -> None:
    locks.observe(a_state())
    locks.admit(ScanAcquire(dwell_time_s=1e-6), a_state())
    clock.sleep(512 * 512 * 1e-6)
    locks.observe(a_state(sequence=1))
    for sequence in range(2, 7):
        command = CameraAcquire(camera="ronchigram", exposure_s=0.1)
        locks.admit(command, a_state(sequence=sequence - 1))
        clock.sleep(0.1)
        locks.observe(a_state(sequence=sequence))
    expected = (512 * 512 * 1e-6 + 0.5) * DOSE_PER_S
    assert locks.state.region_dose_e_per_a2 == pytest.approx(expected)


@pytest.mark.parametrize(
    "command",
    [BeamUnblank(max_duration_s=1), ScanAcquire(height_px=64, width_px=64), ScanStream()],
)
def test_an_unknown_current_is_never_guessed(command: BeamUnblank | ScanAcquire, clock: Clock) -> None:
    limits = some_limits(dose={"region_e_per_a2": 100.0})
    for state in (a_state(current_a=None), a_state(current_a=0.0), a_state(on=False, current_a=0.0)):
        locks = interlocks(limits, clock)
        with pytest.raises(InterlockError, match="does not say its beam current"):
            locks.admit(command, state)
        trip = locks.observe(state)
        assert (trip is None) is state.beam_blanked
        locks.close()


def test_an_unknown_field_of_view_is_never_guessed(clock: Clock) -> None:
    lit_up = a_state()
    unknown = lit_up.model_copy(update={"optics": lit_up.optics.model_copy(update={"field_of_view_m": None})})
    locks = interlocks(BUDGET, clock)
    with pytest.raises(InterlockError, match="does not say its field of view"):
        locks.admit(BeamUnblank(max_duration_s=1), unknown)
    trip = locks.observe(unknown)
    assert trip is not None
    assert "field of view" in trip.what
    locks.close()
    free = interlocks(some_limits(), clock)
    free.admit(BeamUnblank(max_duration_s=1), unknown)
    assert free.observe(unknown) is None
    free.close()


def test_a_current_that_is_only_told_while_the_beam_is_on_is_remembered(clock: Clock) -> None:
    locks = interlocks(some_limits(dose={"region_e_per_a2": 10 * DOSE_PER_S}), clock)
    locks.observe(a_state())
    locks.observe(a_state(on=False, current_a=0.0))
    locks.admit(BeamUnblank(max_duration_s=5), a_state(on=False, current_a=0.0))
    with pytest.raises(InterlockError):
        locks.admit(BeamUnblank(max_duration_s=10), a_state(on=False, current_a=0.0))
    locks.close()


def test_whoever_refuses_says_how_much_is_left(locks: Interlocks, clock: Clock) -> None:
    locks.observe(a_state())
    lit(clock, locks, a_state(), 4.0)
    with pytest.raises(InterlockError) as refused:
        locks.admit(BeamUnblank(max_duration_s=7), a_state(on=False))
    assert refused.value.details["fits"] == pytest.approx(6 * DOSE_PER_S)
    locks.admit(BeamUnblank(max_duration_s=5), a_state(on=False))


def test_what_makes_the_beam_denser_is_counted_before_it_happens(locks: Interlocks, clock: Clock) -> None:
    locks.observe(a_state())
    lit(clock, locks, a_state(), 4.0)
    # A hundred times the density for a quarter of a second is more than the six seconds that are left.
    with pytest.raises(InterlockError):
        locks.admit(OpticsFieldOfView(field_of_view_m=FIELD_M / 10), a_state())
    with pytest.raises(InterlockError):
        locks.admit(SimulationDrift(beam_current_factor=10, field_of_view_factor=0.3), a_state())
    locks.admit(OpticsFieldOfView(field_of_view_m=FIELD_M / 2), a_state())
    locks.admit(SimulationDrift(beam_current_factor=2), a_state())


def test_a_place_that_had_its_share_cannot_be_driven_through_with_the_beam_on(
    locks: Interlocks, clock: Clock
) -> None:
    locks.observe(a_state(x_m=2.5e-6))
    lit(clock, locks, a_state(x_m=2.5e-6), 9.8)
    locks.observe(a_state(on=False, x_m=2.5e-6))
    locks.observe(a_state(on=False))
    locks.admit(StageMove(x_m=5.5e-6), a_state(on=False))
    fresh = interlocks(BUDGET, clock)
    fresh.observe(a_state())
    fresh.admit(StageMove(x_m=5.5e-6), a_state())
    fresh.close()
    locks.observe(a_state())
    with pytest.raises(InterlockError):
        locks.admit(StageMove(x_m=5.5e-6), a_state())
    with pytest.raises(InterlockError):
        locks.admit(BeamShift(x_m=2.2e-6, y_m=0.0), a_state())
    locks.admit(BeamShift(x_m=2.2e-7, y_m=0.0), a_state())


def test_what_detectors_stand_is_watched_while_the_beam_is_on(clock: Clock) -> None:
    locks = interlocks(
        some_limits(detector={"max_beam_current_a": 2e-10, "min_field_of_view_m": 1e-8}), clock
    )
    assert locks.observe(a_state()) is None
    for state, named in (
        (a_state(current_a=2.1e-10), "detector.max_beam_current_a"),
        (a_state(field_m=9e-9), "detector.min_field_of_view_m"),
    ):
        trip = locks.observe(state)
        assert trip is not None
        assert trip.interlock == named
        assert locks.observe(state.model_copy(update={"beam_blanked": True})) is None
    locks.close()


# ----- a real driver


def test_on_the_twin_the_ledger_covers_what_its_frames_say_and_not_much_more(twin: OpenTwin) -> None:
    opened_twin = twin(real_time=True, stage={"speed_m_per_s": 1e-5, "settle_time_s": 0.0})
    instrument = opened_twin.instrument
    locks = Interlocks(
        some_limits(dose={"region_e_per_a2": 1e9, "assumed_beam_current_a": 3e-11, "region_size_m": 4e-9}),
        instrument.capabilities,
        path=None,
    )
    scan = ScanStream(height_px=64, width_px=64, dwell_time_s=2e-5, max_frames=4)
    instrument.execute(SessionStart(session="s"))
    for x_m in (0.0, 6e-9):
        for command in (StageMove(x_m=x_m, y_m=2e-9), BeamUnblank(max_duration_s=60), scan):
            locks.admit(command, state_of(instrument))
            instrument.execute(command)
        while state_of(instrument).scanning:
            locks.observe(state_of(instrument))
        instrument.execute(BeamBlank())
        locks.observe(state_of(instrument))
    wait_for_scan(instrument)
    frames = [frame.header for frame in opened_twin.of("haadf")]
    told = [
        sum(h.dose_e_per_a2 or 0.0 for h in frames if abs(h.stage.x_m - x_m) < 1e-9) for x_m in (0.0, 6e-9)
    ]
    assert len(frames) == 8
    assert locks.state.region_dose_e_per_a2 >= told[1] * (1 - 1e-9)
    assert locks._book.ledger.most_exposed(Field(0.0, 2e-9, 1e-9, 1e-9))[0] >= told[0] * (1 - 1e-9)
    # The beam is on a little longer than its frames take, and is counted from look to look.
    assert locks.state.session_beam_on_s >= 8 * 64 * 64 * 2e-5
    locks.close()


def test_the_bench_itself_logs_what_the_beam_did() -> None:
    bench = Bench(some_limits())
    bench.do(BeamUnblank(max_duration_s=1.0))
    bench.wait(2.0)
    bench.locks.close()
    assert bench.beam_on_s == pytest.approx(1.0)
    assert bench.worst_dose_e_per_a2() == pytest.approx(DOSE_PER_S)
