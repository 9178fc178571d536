"""What every instrument promises, told once and run over each driver, beside it and over the wire."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import cast

import pytest

from eucentric_agents import known_drivers, open_driver
from eucentric_core import (
    AgentSettings,
    BusyError,
    CommandRefusedError,
    ConfigurationError,
    Instrument,
    TransportError,
    UnsupportedError,
)
from eucentric_core.vocabulary import (
    COMMANDS,
    BeamBlank,
    BeamUnblank,
    CameraAcquire,
    Command,
    FrameReference,
    MoveReport,
    OpticsFieldOfView,
    OpticsReport,
    ScanAcquire,
    ScanStream,
    SessionStop,
    SpectrumAcquire,
    StageGet,
    StageMove,
    StageMoveBy,
    StageTilt,
    StreamReport,
)

from .benches import BENCHES, ENDLESS, SCAN, WIRE, Bench, examples, new_session, open_bench
from .rig import Opened, state_of, wait_for_scan, wait_until

Opener = Callable[[], Opened]


@pytest.fixture(scope="module", params=BENCHES)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A driver, beside it or at the other end of an agent that the tests of this file share."""
    with open_bench(request.param, tmp_path_factory.mktemp("bench")) as opened:
        yield opened


@pytest.fixture
def opener(bench: Bench) -> Iterator[Opener]:
    """Opens the instrument; closes it, or leaves it safe and without a session, at the end."""
    with ExitStack() as opened:
        yield lambda: bench.open(opened, None)


@pytest.fixture
def opened(opener: Opener) -> Opened:
    """The instrument, open."""
    return opener()


def lacks(opened: Opened, *verbs: str) -> bool:
    """Whether the instrument lacks one of these verbs; then it must say so when it is asked."""
    missing = set(verbs) - set(opened.instrument.capabilities.verbs)
    for command in examples(opened.instrument.capabilities):
        if command.verb in missing:
            with pytest.raises(UnsupportedError):
                opened.instrument.execute(command)
    return bool(missing)


def delivered(opened: Opened, stream: str, count: int) -> None:
    """Wait until so many frames of a stream have arrived."""
    wait_until(lambda: len(opened.of(stream)) >= count)


def wait_for_frame(opened: Opened, reference: FrameReference) -> None:
    """Wait until the frame that an answer names has arrived on the stream that it names."""
    wait_until(lambda: reference.sequence in {f.header.sequence for f in opened.of(reference.stream)})


def test_an_unknown_driver_is_refused_with_the_names_of_those_that_exist() -> None:
    with pytest.raises(ConfigurationError, match="telescope") as refused:
        open_driver(AgentSettings(instrument="telescope"), print)
    assert all(name in refused.value.next_step for name in known_drivers())


@pytest.mark.parametrize("driver", known_drivers())
def test_an_unknown_option_is_refused_by_its_name(driver: str) -> None:
    with pytest.raises(ConfigurationError, match=r"agent\.driver\.sead"):
        open_driver(AgentSettings(instrument=driver, driver={"sead": 1}), print)


def test_the_examples_cover_the_whole_vocabulary(opened: Opened) -> None:
    assert {command.verb for command in examples(opened.instrument.capabilities)} == set(COMMANDS)


def test_each_verb_either_works_or_is_unsupported_as_the_capabilities_say(
    opened: Opened, bench: Bench
) -> None:
    instrument = opened.instrument
    assert isinstance(instrument, Instrument)
    refused = set()
    for command in examples(instrument.capabilities, bench.field_of_view_m):
        try:
            assert isinstance(instrument.execute(command), command.result_type)
        except UnsupportedError:
            refused.add(command.verb)
        wait_for_scan(instrument)
    assert set(instrument.capabilities.verbs) == set(COMMANDS) - refused
    assert {"state.get", "session.start", "session.stop", "scan.abort"} <= set(instrument.capabilities.verbs)


def test_opening_leaves_the_beam_blanked_nothing_scanning_no_session_and_the_stage_where_it_was(
    opener: Opener, bench: Bench
) -> None:
    state = state_of(opener().instrument)
    assert (state.beam_blanked, state.scanning, state.session) == (True, False, None)
    if not bench.wired:
        assert state_of(opener().instrument).stage == state.stage


def test_closing_twice_is_closing_once(opener: Opener) -> None:
    instrument = opener().instrument
    instrument.execute(new_session())
    instrument.safe_state()
    instrument.execute(SessionStop())
    instrument.safe_state()
    instrument.abort()
    instrument.close()
    instrument.close()


def test_every_frame_belongs_to_a_session(opened: Opened) -> None:
    if lacks(opened, "scan.acquire", "scan.stream"):
        return
    for scan in (SCAN, ENDLESS):
        with pytest.raises(CommandRefusedError, match="session"):
            opened.instrument.execute(scan)
    assert opened.frames == []


def test_one_session_at_a_time(opened: Opened) -> None:
    instrument = opened.instrument
    first = new_session()
    instrument.execute(first)
    with pytest.raises(CommandRefusedError, match=f"'{first.session}' is still open"):
        instrument.execute(new_session())
    assert state_of(instrument).session == first.session
    instrument.execute(SessionStop())
    with pytest.raises(CommandRefusedError):
        instrument.execute(SessionStop())


def test_sequence_numbers_are_consecutive_and_begin_at_zero_in_each_session(opened: Opened) -> None:
    if lacks(opened, "scan.acquire", "scan.stream"):
        return
    sessions = [(new_session("flake-7"), 3), (new_session("flake-7"), 2)]
    for session, frames in sessions:
        opened.instrument.execute(session)
        report = opened.instrument.execute(ScanStream(height_px=64, width_px=64, max_frames=frames))
        assert report == StreamReport(session=session.session, first_sequence=0)
        wait_for_scan(opened.instrument)
        reference = opened.instrument.execute(SCAN)
        assert isinstance(reference, FrameReference)
        assert reference.sequence == frames
        opened.instrument.execute(SessionStop())
        assert state_of(opened.instrument).next_sequence == frames + 1
    delivered(opened, "haadf", 7)
    for session, frames in sessions:
        headers = [f.header for f in opened.of("haadf") if f.header.session == session.session]
        assert [header.sequence for header in headers] == list(range(frames + 1))
        assert {header.sample for header in headers} == {"flake-7"}


def test_frames_are_calibrated_in_metres_and_labelled_as_the_instrument_is(
    opened: Opened, bench: Bench
) -> None:
    if lacks(opened, "scan.acquire"):
        return
    opened.instrument.execute(new_session())
    opened.instrument.execute(ScanAcquire(height_px=bench.shape[0], width_px=bench.shape[1]))
    delivered(opened, "haadf", 1)
    frame = opened.of("haadf")[0]
    assert frame.array.shape == frame.header.shape == bench.shape
    assert [(axis.name, axis.unit) for axis in frame.header.axes] == [("y", "m"), ("x", "m")]
    assert frame.header.optics.field_of_view_m == pytest.approx(bench.shape[1] * frame.header.pixel_size_m)
    assert frame.header.instrument == "scope"
    simulated = opened.instrument.capabilities.simulated
    assert {simulated} == {frame.header.simulated, state_of(opened.instrument).simulated}
    assert {f.header.stream for f in opened.frames} <= set(opened.instrument.capabilities.streams)


def test_a_simulation_and_a_driver_that_never_moved_a_real_instrument_say_so(opened: Opened) -> None:
    capabilities = opened.instrument.capabilities
    assert ("SIMULATED" in capabilities.model) is capabilities.simulated
    assert capabilities.untested_on_hardware is ("untested on hardware" in capabilities.notes.lower())


def test_camera_frames_and_spectra_arrive_on_the_streams_that_the_answers_name(opened: Opened) -> None:
    capabilities = opened.instrument.capabilities
    assert bool(capabilities.cameras) is ("camera.acquire" in capabilities.verbs)
    assert bool(capabilities.spectrometers) is ("spectrum.acquire" in capabilities.verbs)
    opened.instrument.execute(new_session())
    commands: list[Command] = [
        *(CameraAcquire(camera=camera, exposure_s=0.05) for camera in capabilities.cameras),
        *(SpectrumAcquire(spectrometer=name, exposure_s=0.05) for name in capabilities.spectrometers),
    ]
    for sequence, command in enumerate(commands):
        reference = opened.instrument.execute(command)
        assert isinstance(reference, FrameReference)
        assert reference.sequence == sequence
        assert reference.stream in capabilities.streams
        wait_for_frame(opened, reference)
    unknown = CommandRefusedError if capabilities.cameras else UnsupportedError
    with pytest.raises(unknown):
        opened.instrument.execute(CameraAcquire(camera="no-such-camera", exposure_s=0.05))


def test_a_second_scan_is_refused_while_one_runs_and_abort_ends_it_from_another_thread(
    opened: Opened,
) -> None:
    if lacks(opened, "scan.acquire", "scan.stream"):
        return
    instrument = opened.instrument
    instrument.execute(new_session())
    instrument.execute(ENDLESS)
    for scan in (ENDLESS, SCAN):
        with pytest.raises(BusyError):
            instrument.execute(scan)
    stopper = threading.Thread(target=instrument.abort)
    stopper.start()
    stopper.join()
    wait_for_scan(instrument)
    taken = state_of(instrument).next_sequence
    instrument.execute(SCAN)
    assert state_of(instrument).next_sequence == taken + 1


def test_what_the_driver_answers_at_any_time_only_observes_and_is_answered_during_a_scan(
    opened: Opened,
) -> None:
    instrument = opened.instrument
    known = examples(instrument.capabilities)
    concurrent = [c for c in known if c.verb in instrument.capabilities.concurrent_verbs]
    assert len(concurrent) == len(instrument.capabilities.concurrent_verbs)
    assert set(instrument.capabilities.concurrent_verbs) <= set(instrument.capabilities.verbs)
    assert all(command.command_class == "observe" for command in concurrent)
    if lacks(opened, "scan.stream"):
        return
    instrument.execute(new_session())
    instrument.execute(ENDLESS)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(instrument.execute, concurrent * 20))
    assert [type(answer) for answer in answers] == [command.result_type for command in concurrent * 20]
    assert state_of(instrument).scanning
    instrument.abort()


@pytest.mark.alone
def test_urgent_verbs_are_answered_within_a_second_while_a_scan_runs(opened: Opened) -> None:
    if lacks(opened, "scan.stream"):
        return
    instrument = opened.instrument
    instrument.execute(new_session())
    urgent = [
        c for c in examples(instrument.capabilities) if c.urgent and c.verb in instrument.capabilities.verbs
    ]
    for command in urgent:
        instrument.execute(ENDLESS)
        asked = time.monotonic()
        instrument.execute(command)
        # A promise of the contract (see `Instrument`), not a measure of this machine.
        assert time.monotonic() - asked < 1.0
        instrument.abort()
        wait_for_scan(instrument)


def test_the_safe_state_stops_the_scan_and_leaves_the_beam_blanked(opened: Opened) -> None:
    instrument = opened.instrument
    instrument.execute(new_session())
    if "beam.unblank" in instrument.capabilities.verbs:
        instrument.execute(BeamUnblank(max_duration_s=30))
        assert not state_of(instrument).beam_blanked
    if "scan.stream" in instrument.capabilities.verbs:
        instrument.execute(ENDLESS)
    instrument.safe_state()
    wait_for_scan(instrument)
    assert state_of(instrument).beam_blanked


def test_the_beam_is_off_after_blanking_and_on_after_unblanking(opened: Opened) -> None:
    if lacks(opened, "beam.blank", "beam.unblank"):
        return
    for command, blanked in (
        (BeamUnblank(max_duration_s=30), False),
        (BeamBlank(), True),
        (BeamBlank(), True),
    ):
        opened.instrument.execute(command)
        assert state_of(opened.instrument).beam_blanked is blanked


def test_a_move_ends_where_it_was_told_within_the_tolerance_it_reports(opened: Opened) -> None:
    if lacks(opened, "stage.move", "stage.get"):
        return
    there = opened.instrument.execute(StageMove(x_m=4e-9, y_m=-3e-9))
    assert isinstance(there, MoveReport)
    assert (there.commanded.x_m, there.commanded.y_m) == pytest.approx((4e-9, -3e-9))
    further = there
    if "stage.move_by" in opened.instrument.capabilities.verbs:
        further = cast(MoveReport, opened.instrument.execute(StageMoveBy(dx_m=-2e-9)))
        assert (further.commanded.x_m, further.commanded.y_m) == pytest.approx((2e-9, -3e-9))
    for report in (there, further, cast(MoveReport, opened.instrument.execute(StageGet()))):
        for place in (report.reported, report.actual or report.reported):
            assert abs(place.x_m - report.commanded.x_m) <= report.tolerance_m
            assert abs(place.y_m - report.commanded.y_m) <= report.tolerance_m
    opened.instrument.execute(StageMove(x_m=0.0, y_m=0.0))


def test_what_lies_beyond_the_limits_is_refused_before_anything_moves(opened: Opened) -> None:
    capabilities = opened.instrument.capabilities
    limits = capabilities.stage_limits
    before = state_of(opened.instrument)
    beyond: list[Command] = []
    for axis in ("x_m", "y_m", "z_m", "alpha_rad", "beta_rad"):
        low_high = getattr(limits, axis)
        kind = StageMove if axis.endswith("_m") else StageTilt
        if low_high is None or kind.model_fields["verb"].default not in capabilities.verbs:
            continue
        for edge in low_high:
            try:
                beyond.append(kind(**{axis: edge * 1.01}))
            except ValueError:
                continue  # The vocabulary itself ends there.
    if capabilities.max_field_of_view_m is not None and "optics.field_of_view" in capabilities.verbs:
        beyond.append(OpticsFieldOfView(field_of_view_m=min(capabilities.max_field_of_view_m * 1.01, 1e-2)))
    # Who moves says how far.
    assert bool(beyond) is ("stage.move" in capabilities.verbs)
    for command in beyond:
        with pytest.raises(CommandRefusedError):
            opened.instrument.execute(command)
    after = state_of(opened.instrument)
    assert (after.stage, after.optics) == (before.stage, before.optics)


def test_optics_report_what_they_were_told(opened: Opened, bench: Bench) -> None:
    verbs = opened.instrument.capabilities.verbs
    settings = [
        command
        for command in examples(opened.instrument.capabilities, bench.field_of_view_m)
        if command.verb in verbs and command.result_type is OpticsReport and command.verb != "auto.focus"
    ]
    for command in settings:
        report = opened.instrument.execute(command)
        assert isinstance(report, OpticsReport)
        assert report.reported == pytest.approx(report.commanded, rel=0.05, abs=1e-10)


@pytest.mark.parametrize("bench", [name for name in BENCHES if not name.endswith(WIRE)], indirect=True)
def test_a_scan_that_cannot_deliver_ends_and_the_state_says_why(bench: Bench) -> None:

    def broken(_frame: object) -> None:
        raise TransportError("The link is down.", safe="nothing was lost.", next_step="mend it.")

    with ExitStack() as stack:
        opened = bench.open(stack, broken)
        if lacks(opened, "scan.stream"):
            return
        instrument = opened.instrument
        instrument.execute(new_session())
        instrument.execute(ScanStream(height_px=64, width_px=64))
        wait_until(lambda: state_of(instrument).fault is not None)
        fault = state_of(instrument).fault
        assert fault is not None
        assert (fault.code, fault.what) == ("transport", "The link is down.")
        wait_for_scan(instrument)
