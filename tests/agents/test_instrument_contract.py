"""What every driver promises, told once and run over each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
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
    AutoFocus,
    BeamBlank,
    BeamPark,
    BeamUnblank,
    CameraAcquire,
    ColumnValve,
    Command,
    FrameReference,
    OpticsDefocus,
    OpticsFieldOfView,
    ScanAbort,
    ScanAcquire,
    ScanStream,
    SessionStart,
    SessionStop,
    SimulationDrift,
    SpectrumAcquire,
    StageGet,
    StageMove,
    StageStop,
    StageTilt,
    StateGet,
    StreamReport,
)

from .rig import SMALL, Opened, OpenInstrument, state_of, wait_for_scan, wait_until

EXAMPLES: tuple[Command, ...] = (
    StateGet(),
    SessionStart(session="example"),
    ScanAcquire(height_px=64, width_px=64),
    ScanAbort(),
    StageGet(),
    StageMove(x_m=1e-9),
    StageTilt(alpha_rad=0.1),
    StageStop(),
    BeamUnblank(max_duration_s=5),
    BeamBlank(),
    BeamPark(y_fraction=0.5, x_fraction=0.5),
    OpticsDefocus(defocus_m=1e-9),
    OpticsFieldOfView(field_of_view_m=3e-9),
    AutoFocus(),
    ColumnValve(open=True),
    SimulationDrift(over_frames=2),
    CameraAcquire(camera="ronchigram", exposure_s=0.1),
    SpectrumAcquire(spectrometer="eels", exposure_s=0.1),
    ScanStream(height_px=64, width_px=64, max_frames=1),
    SessionStop(),
)

Opener = Callable[[], Opened]


@pytest.fixture(params=["twin", "replay"])
def opener(request: pytest.FixtureRequest, tmp_path: Path, open_instrument: OpenInstrument) -> Opener:
    """Opens one of the drivers."""
    if request.param == "twin":
        return lambda: open_instrument("twin", {**SMALL, "seed": 3})
    recording = tmp_path / "series.npy"
    np.save(recording, np.random.default_rng(0).integers(0, 999, (7, 64, 48), dtype=np.uint16))
    options = {"path": str(recording), "pixel_size_m": 2e-11, "repeat": True}
    return lambda: open_instrument("replay", options)


def test_an_unknown_driver_is_refused_with_the_names_of_those_that_exist() -> None:
    with pytest.raises(ConfigurationError, match="telescope") as refused:
        open_driver(AgentSettings(instrument="telescope"), print)
    assert all(name in refused.value.next_step for name in known_drivers())


def test_an_unknown_option_is_refused_by_its_name(opener: Opener, tmp_path: Path) -> None:
    driver = opener().instrument.capabilities.model
    name = "replay" if driver.startswith("replay") else "twin"
    with pytest.raises(ConfigurationError, match=r"agent\.driver\.sead"):
        open_driver(AgentSettings(instrument=name, driver={"sead": 1}), print)


def test_the_examples_below_cover_the_whole_vocabulary() -> None:
    assert {command.verb for command in EXAMPLES} == set(COMMANDS)


def test_each_verb_either_works_or_is_unsupported_as_the_capabilities_say(opener: Opener) -> None:
    instrument = opener().instrument
    assert isinstance(instrument, Instrument)
    refused = set()
    for command in EXAMPLES:
        try:
            assert isinstance(instrument.execute(command), command.result_type)
        except UnsupportedError:
            refused.add(command.verb)
        wait_for_scan(instrument)
    assert set(instrument.capabilities.verbs) == set(COMMANDS) - refused


def test_opening_leaves_the_beam_blanked_nothing_scanning_and_no_session(opener: Opener) -> None:
    state = state_of(opener().instrument)
    assert (state.beam_blanked, state.scanning, state.session) == (True, False, None)


def test_every_frame_belongs_to_a_session(opener: Opener) -> None:
    opened = opener()
    for scan in (ScanAcquire(), ScanStream()):
        with pytest.raises(CommandRefusedError, match="session"):
            opened.instrument.execute(scan)
    assert opened.frames == []


def test_one_session_at_a_time(opener: Opener) -> None:
    instrument = opener().instrument
    instrument.execute(SessionStart(session="a"))
    with pytest.raises(CommandRefusedError, match="'a' is still open"):
        instrument.execute(SessionStart(session="b"))
    assert state_of(instrument).session == "a"
    instrument.execute(SessionStop())
    with pytest.raises(CommandRefusedError):
        instrument.execute(SessionStop())


def test_sequence_numbers_are_consecutive_and_begin_at_zero_in_each_session(opener: Opener) -> None:
    opened = opener()
    for session, frames in (("first", 4), ("second", 3)):
        opened.instrument.execute(SessionStart(session=session, sample="flake-7"))
        report = opened.instrument.execute(ScanStream(height_px=64, width_px=64, max_frames=frames))
        assert report == StreamReport(session=session, first_sequence=0)
        wait_for_scan(opened.instrument)
        reference = opened.instrument.execute(ScanAcquire(height_px=64, width_px=64))
        assert isinstance(reference, FrameReference)
        assert reference.sequence == frames
        opened.instrument.execute(SessionStop())
        assert state_of(opened.instrument).next_sequence == frames + 1
        headers = [f.header for f in opened.of("haadf") if f.header.session == session]
        assert [header.sequence for header in headers] == list(range(frames + 1))
        assert {header.sample for header in headers} == {"flake-7"}


def test_frames_are_calibrated_in_metres_and_labelled_as_the_instrument_is(opener: Opener) -> None:
    opened = opener()
    opened.instrument.execute(SessionStart(session="s"))
    opened.instrument.execute(ScanAcquire(height_px=64, width_px=48))
    frame = opened.of("haadf")[0]
    assert frame.array.shape == frame.header.shape == (64, 48)
    assert [(axis.name, axis.unit) for axis in frame.header.axes] == [("y", "m"), ("x", "m")]
    assert frame.header.optics.field_of_view_m == pytest.approx(48 * frame.header.pixel_size_m)
    assert frame.header.instrument == "scope"
    simulated = opened.instrument.capabilities.simulated
    assert {simulated} == {frame.header.simulated, state_of(opened.instrument).simulated}
    assert ("SIMULATED" in opened.instrument.capabilities.model) is simulated
    assert {f.header.stream for f in opened.frames} == set(opened.instrument.capabilities.streams)


def test_a_second_scan_is_refused_while_one_runs_and_abort_ends_it_from_another_thread(
    opener: Opener,
) -> None:
    instrument = opener().instrument
    instrument.execute(SessionStart(session="s"))
    instrument.execute(ScanStream(height_px=64, width_px=64, max_frames_per_s=20))
    with pytest.raises(BusyError):
        instrument.execute(ScanStream())
    with pytest.raises(BusyError):
        instrument.execute(ScanAcquire())
    stopper = threading.Thread(target=instrument.abort)
    stopper.start()
    stopper.join()
    wait_for_scan(instrument)
    taken = state_of(instrument).next_sequence
    instrument.execute(ScanAcquire(height_px=64, width_px=64))
    assert state_of(instrument).next_sequence == taken + 1


def test_what_the_driver_answers_at_any_time_only_observes_and_is_answered_during_a_scan(
    opener: Opener,
) -> None:
    instrument = opener().instrument
    concurrent = [c for c in EXAMPLES if c.verb in instrument.capabilities.concurrent_verbs]
    assert len(concurrent) == len(instrument.capabilities.concurrent_verbs)
    assert set(instrument.capabilities.concurrent_verbs) <= set(instrument.capabilities.verbs)
    assert all(command.command_class == "observe" for command in concurrent)
    instrument.execute(SessionStart(session="s"))
    instrument.execute(ScanStream(height_px=64, width_px=64))
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(instrument.execute, concurrent * 20))
    assert [type(answer) for answer in answers] == [command.result_type for command in concurrent * 20]
    assert state_of(instrument).scanning
    instrument.abort()


def test_the_safe_state_stops_the_scan_and_leaves_the_beam_blanked(opener: Opener) -> None:
    instrument = opener().instrument
    instrument.execute(SessionStart(session="s"))
    instrument.execute(ScanStream(height_px=64, width_px=64))
    instrument.safe_state()
    wait_for_scan(instrument)
    assert state_of(instrument).beam_blanked


def test_a_scan_that_cannot_deliver_ends_and_the_state_says_why(opener: Opener, tmp_path: Path) -> None:
    def broken(_frame: object) -> None:
        raise TransportError("The link is down.", safe="nothing was lost.", next_step="mend it.")

    capabilities = opener().instrument.capabilities
    if capabilities.simulated:
        settings = AgentSettings(instrument="twin", driver=SMALL)
    else:
        options = {"path": str(tmp_path / "series.npy"), "pixel_size_m": 1e-11}
        settings = AgentSettings(instrument="replay", driver=options)
    instrument = open_driver(settings, broken)
    instrument.execute(SessionStart(session="s"))
    instrument.execute(ScanStream(height_px=64, width_px=64))
    wait_until(lambda: state_of(instrument).fault is not None)
    fault = state_of(instrument).fault
    assert fault is not None
    assert (fault.code, fault.what) == ("transport", "The link is down.")
    wait_for_scan(instrument)
    instrument.close()
