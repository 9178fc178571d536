"""The twin breaks on request, and its hardware writes down what it was told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from eucentric_agents.drivers import MoveHaltedError
from eucentric_core import ConfigurationError, EucentricError, TransportError
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamUnblank,
    Command,
    CommandResult,
    MoveReport,
    OpticsDefocus,
    ScanAbort,
    ScanAcquire,
    ScanStream,
    SessionStart,
    StageGet,
    StageMove,
    StageStop,
    StageTilt,
)

from .rig import Opened, OpenTwin, state_of, wait_for_scan, wait_until

SCAN = ScanAcquire(height_px=64, width_px=64)
EXACT = {"backlash_m": 0.0, "repeatability_m": 0.0, "settle_time_s": 0.0, "speed_m_per_s": 1e-6}

SetFaults = Callable[..., None]


@pytest.fixture
def faults(tmp_path: Path) -> Path:
    """The file that switches faults on and off."""
    return tmp_path / "faults.json"


@pytest.fixture
def switch(faults: Path) -> SetFaults:
    """Breaks what is named and mends the rest."""

    def setter(**broken: Any) -> None:
        written = faults.with_suffix(".new")
        written.write_text(json.dumps(broken))
        written.replace(faults)

    return setter


@pytest.fixture
def breakable(twin: OpenTwin, faults: Path, tmp_path: Path) -> Opened:
    """A twin with an exact stage that obeys the file and writes a journal."""
    return twin(stage=EXACT, faults={"file": str(faults)}, journal=str(tmp_path / "hardware.jsonl"))


def journal(tmp_path: Path) -> list[dict[str, Any]]:
    """What the hardware has written down."""
    return [json.loads(line) for line in (tmp_path / "hardware.jsonl").read_text().splitlines()]


def started(opened: Opened, command: Command) -> tuple[ThreadPoolExecutor, Future[CommandResult]]:
    """A command on its way on a thread of its own."""
    threads = ThreadPoolExecutor(1)
    return threads, threads.submit(opened.instrument.execute, command)


def moved(opened: Opened, **target: float) -> MoveReport:
    return cast(MoveReport, opened.instrument.execute(StageMove(**target)))


def test_a_stuck_stage_reports_done_and_stands_elsewhere(breakable: Opened, switch: SetFaults) -> None:
    switch(stage_stops_at=0.5)
    half_way = moved(breakable, x_m=4e-9)
    assert half_way.commanded.x_m == 4e-9
    assert half_way.reported.x_m == pytest.approx(2e-9)
    switch(stage_stops_at=0)
    stuck = moved(breakable, x_m=-4e-9)
    assert stuck.commanded.x_m == -4e-9
    assert stuck.reported.x_m == pytest.approx(2e-9)
    tilted = cast(MoveReport, breakable.instrument.execute(StageTilt(alpha_rad=0.01)))
    assert (tilted.commanded.alpha_rad, tilted.reported.alpha_rad) == (0.01, 0)
    switch()
    assert moved(breakable, x_m=-4e-9).reported.x_m == pytest.approx(-4e-9)


def test_a_creeping_stage_leaves_where_it_has_arrived(breakable: Opened, switch: SetFaults) -> None:
    switch(stage_creep_m_per_s=1e-6)
    arrived = moved(breakable, x_m=1e-9)
    wait_until(
        lambda: (
            cast(MoveReport, breakable.instrument.execute(StageGet())).reported.x_m
            > arrived.commanded.x_m + 10e-9
        )
    )
    switch()
    breakable.instrument.execute(StageGet())
    rest = cast(MoveReport, breakable.instrument.execute(StageGet()))
    assert breakable.instrument.execute(StageGet()) == rest


def test_a_stalled_detector_gives_no_frame_until_the_scan_is_aborted(
    breakable: Opened, switch: SetFaults
) -> None:
    switch(detector_stalls=True)
    breakable.instrument.execute(SessionStart(session="s"))
    breakable.instrument.execute(BeamUnblank(max_duration_s=60))
    threads, frame = started(breakable, SCAN)
    with threads:
        wait_until(lambda: state_of(breakable.instrument).scanning)
        breakable.instrument.execute(ScanAbort())
        with pytest.raises(EucentricError) as aborted:
            frame.result(10)
    assert aborted.value.code == "scan_aborted"
    assert breakable.frames == []
    # The beam was on all that time.
    assert state_of(breakable.instrument).dose_e_per_a2 != 0
    breakable.instrument.execute(ScanStream(height_px=64, width_px=64))
    switch()
    wait_until(lambda: len(breakable.of("haadf")) > 1)
    breakable.instrument.execute(ScanAbort())
    wait_for_scan(breakable.instrument)
    assert state_of(breakable.instrument).fault is None


def test_a_hanging_vendor_call_returns_when_the_fault_is_cleared_and_blanking_works_meanwhile(
    breakable: Opened, switch: SetFaults
) -> None:
    switch(hanging_verbs=["optics.defocus"])
    breakable.instrument.execute(BeamUnblank(max_duration_s=60))
    threads, hanging = started(breakable, OpticsDefocus(defocus_m=1e-9))
    with threads:
        for urgent in (BeamBlank(), ScanAbort(), StageStop()):
            breakable.instrument.execute(urgent)
        breakable.instrument.safe_state()
        assert state_of(breakable.instrument).beam_blanked
        assert not hanging.done()
        assert state_of(breakable.instrument).optics.defocus_m == 0
        switch()
        hanging.result(10)
    assert state_of(breakable.instrument).optics.defocus_m == 1e-9


def test_closing_the_instrument_lets_go_of_a_call_that_hangs(breakable: Opened, switch: SetFaults) -> None:
    switch(hanging_verbs=["stage.get"])
    threads, hanging = started(breakable, StageGet())
    with threads:
        breakable.instrument.close()
        with pytest.raises(TransportError, match="closed"):
            hanging.result(10)


def test_a_lost_connection_fails_every_call_but_the_urgent_ones(breakable: Opened, switch: SetFaults) -> None:
    switch(connection_lost=True)
    for command in (StageMove(x_m=1e-9), BeamUnblank(max_duration_s=5)):
        with pytest.raises(TransportError):
            breakable.instrument.execute(command)
    breakable.instrument.execute(BeamBlank())
    switch()
    assert state_of(breakable.instrument).stage.x_m == 0


def test_a_frozen_process_lets_no_thread_run(breakable: Opened, switch: SetFaults) -> None:
    beats: list[float] = []
    done = threading.Event()

    def beat() -> None:
        while not done.wait(0.005):
            beats.append(time.monotonic())

    heart = threading.Thread(target=beat)
    heart.start()
    wait_until(lambda: len(beats) > 3)
    switch(process_freezes_s=1)
    before = time.monotonic()
    breakable.instrument.execute(StageMove(x_m=1e-9))
    after = time.monotonic()
    done.set()
    heart.join()
    assert after - before >= 1
    # Nobody ran for a second; the rest of the time anybody may have.
    around = [before, *(beat for beat in beats if before < beat < after), after]
    assert max(b - a for a, b in pairwise(around)) >= 0.99


def test_what_is_broken_is_said_in_the_notes_and_a_broken_file_changes_nothing(
    breakable: Opened, switch: SetFaults, faults: Path
) -> None:
    assert "FAULT" not in breakable.instrument.capabilities.notes
    switch(detector_stalls=True, hanging_verbs=["auto.focus"])
    notes = breakable.instrument.capabilities.notes
    assert "SIMULATED FAULTS: detector_stalls = True, hanging_verbs = ('auto.focus',)" in notes
    faults.write_text("{")
    assert breakable.instrument.capabilities.notes == notes
    faults.unlink()
    assert "FAULT" not in breakable.instrument.capabilities.notes


def test_faults_of_the_settings_are_there_from_the_start_and_the_file_is_laid_over_them(
    twin: OpenTwin, faults: Path, switch: SetFaults
) -> None:
    opened = twin(stage=EXACT, faults={"file": str(faults), "stage_stops_at": 0.0})
    assert moved(opened, x_m=1e-9).reported.x_m == 0
    switch(stage_stops_at=None)
    assert moved(opened, x_m=1e-9).reported.x_m == pytest.approx(1e-9)
    with pytest.raises(ConfigurationError, match=r"agent\.driver\.faults\.stage_stops_at"):
        twin(faults={"stage_stops_at": 2})


def test_the_hardware_writes_down_what_it_was_told_in_order(breakable: Opened, tmp_path: Path) -> None:
    started_s = time.monotonic()
    instrument = breakable.instrument
    instrument.execute(SessionStart(session="s"))
    instrument.execute(BeamUnblank(max_duration_s=5))
    instrument.execute(StageMove(x_m=1e-9))
    instrument.execute(SCAN)
    instrument.execute(BeamBlank())
    lines = journal(tmp_path)
    assert [line["what"] for line in lines] == [
        "beam.blank",
        "beam.unblank",
        "stage.move",
        "stage.stand",
        "scan.begin",
        "scan.end",
        "beam.blank",
    ]
    assert lines[0]["reason"] == "power on"
    assert (lines[2]["x_m"], lines[3]["x_m"]) == (1e-9, pytest.approx(1e-9))
    times = [line["monotonic_s"] for line in lines]
    assert times == sorted(times)
    assert started_s < times[1] < time.monotonic()
    instrument.close()
    assert [line["what"] for line in journal(tmp_path)][-2:] == ["beam.blank", "stage.halt"]


def test_a_refused_command_never_reaches_the_hardware(breakable: Opened, tmp_path: Path) -> None:
    before = journal(tmp_path)
    for command in (StageMove(x_m=1.0e-3), OpticsDefocus(defocus_m=5e-5), StageTilt(beta_rad=1.5)):
        with pytest.raises(EucentricError, match=r"range|beyond"):
            breakable.instrument.execute(command)
    assert journal(tmp_path) == before


def test_a_journal_that_cannot_be_written_is_refused_at_the_start(twin: OpenTwin, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="journal"):
        twin(journal=str(tmp_path / "nowhere" / "hardware.jsonl"))


def test_a_halted_move_says_so_in_the_journal(twin: OpenTwin, tmp_path: Path) -> None:
    slow = {**EXACT, "speed_m_per_s": 1e-9}
    opened = twin(stage=slow, journal=str(tmp_path / "hardware.jsonl"))
    threads, move = started(opened, StageMove(x_m=9e-9))
    with threads:
        wait_until(lambda: journal(tmp_path)[-1]["what"] == "stage.move")
        opened.instrument.execute(StageStop())
        with pytest.raises(MoveHaltedError):
            move.result(10)
    stand = journal(tmp_path)[-1]
    assert (stand["what"], stand["halted"]) == ("stage.stand", True)
    assert 0 <= stand["x_m"] < 8e-9
