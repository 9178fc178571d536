"""The command line of steering: look, give one command, hold and offer the lease, stop."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

import eucentric
from eucentric.cli import main

from .microscope import Machine, running_machine


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The machine all these tests share."""
    with running_machine(tmp_path_factory.mktemp("machine")) as running:
        yield running


def told(machine: Machine, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command prints; it must succeed."""
    status = main([*arguments, "--config", str(machine.config)])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    return printed.out


def refused(machine: Machine, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command says that is refused."""
    assert main([*arguments, "--config", str(machine.config)]) == 2
    return capsys.readouterr().err


def test_the_known_instruments_are_listed(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(told(machine, capsys, "scope", "list", "--json"))
    assert set(listed) == {"scope", "titan", "far-away"}


def test_an_instrument_is_shown(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(machine, capsys, "scope", "show", "titan")
    assert "SIMULATED" in shown
    assert "blanked" in shown
    assert "scanned dose" in shown
    assert "stage.move_by" in shown
    facts = json.loads(told(machine, capsys, "scope", "show", "titan", "--json"))
    assert facts["state"]["beam_blanked"] is True
    assert told(machine, capsys, "scope", "watch", "--seconds", "0.1")


def test_one_command_is_carried_out_under_a_lease_of_its_own(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = json.loads(told(machine, capsys, "scope", "do", "optics.defocus", "defocus_m=3e-9", "--json"))
    assert answer["commanded"] == 3e-9
    state = json.loads(told(machine, capsys, "scope", "do", "state.get", "--json"))
    assert state["optics"]["defocus_m"] == 3e-9
    assert told(machine, capsys, "lease", "show").strip() == "free"


def test_its_answer_is_for_people_unless_a_program_asks(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = told(machine, capsys, "scope", "do", "stage.move", "x_m=5e-9").splitlines()
    assert moved[0] == "stage.move: done"
    assert moved[1].split(maxsplit=2) == ["commanded", "x", "5 nm"]
    defocused = told(machine, capsys, "scope", "do", "optics.defocus", "defocus_m=3e-9").splitlines()
    assert [line.split(maxsplit=1) for line in defocused[1:]] == [["commanded", "3 nm"], ["reported", "3 nm"]]
    assert told(machine, capsys, "scope", "do", "beam.blank") == "beam.blank: done\n"
    assert told(machine, capsys, "scope", "do", "state.get").startswith("state.get: done\n  beam ")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("stage.moov", "x_m=1e-9"), "'stage.moov'"),
        (("stage.move", "x=1e-9"), "x is no known name"),
        (("stage.move", "x_m=50"), "looks like micrometres"),
        (("stage.move", "x_m"), "'x_m' is not name=value"),
    ],
)
def test_a_wrong_command_is_refused_before_it_is_sent(
    machine: Machine, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: str
) -> None:
    said = refused(machine, capsys, "scope", "do", *arguments)
    assert named in said
    assert "nothing was sent" in said


def test_the_lease_is_held_from_the_command_line_offered_and_taken(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "eucentric", "lease", "hold", "--as", "ada", "--reason", "alignment"]
    holder = subprocess.Popen([*command, "--config", str(machine.config)], stderr=subprocess.PIPE, text=True)
    assert holder.stderr is not None
    try:
        assert "you hold the lease" in holder.stderr.readline()
        assert "alignment" in told(machine, capsys, "lease", "show")
        said = refused(machine, capsys, "scope", "do", "optics.defocus", "defocus_m=0", "--reason", "mine")
        assert "ada" in said
        assert "offered to bob" in told(machine, capsys, "lease", "offer", "bob", "--as", "ada")
        assert json.loads(told(machine, capsys, "lease", "show", "--json"))["offered_to"] == "bob"
        with (
            eucentric.connect("titan", config=machine.config, client="bob") as bob,
            bob.control(reason="my turn"),
        ):
            assert bob.lease().holder == "bob"
        assert holder.wait(timeout=20) == 0
        assert "handed the lease over to bob" in holder.stderr.read()
    finally:
        holder.kill()
        holder.wait()
        holder.stderr.close()


def test_a_clean_end_gives_the_lease_back(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "eucentric", "lease", "hold", "--config", str(machine.config)]
    holder = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert holder.stderr is not None
    with holder.stderr:
        assert "you hold the lease" in holder.stderr.readline()
        holder.send_signal(signal.SIGTERM)
        assert holder.wait(timeout=20) == 0
    assert told(machine, capsys, "lease", "show").strip() == "free"


def test_the_operator_at_the_instrument_goes_first(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    with (  # noqa: PT012  (the loss shows at the end of `control`)
        eucentric.connect("titan", config=machine.config, client="ada") as ada,
        pytest.raises(eucentric.LeaseError),
        ada.control(reason="far away"),
    ):
        ada.unblank(max_duration_s=60)
        told(machine, capsys, "scope", "do", "optics.defocus", "defocus_m=0", "--console")
        assert ada.state().beam_blanked
        time.sleep(1.0)
        ada.set_defocus(1e-9)


def test_stop_makes_the_instrument_safe(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        eucentric.connect("titan", config=machine.config, client="ada") as ada,
        ada.control(reason="look"),
    ):
        for arguments in (("stop",), ("stop", "titan")):
            ada.unblank(max_duration_s=60)
            assert not ada.state().beam_blanked
            assert "beam blanked" in told(machine, capsys, *arguments)
            assert ada.state().beam_blanked


def test_a_stop_that_reaches_nobody_does_not_sound_safe(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, what in (("far-away", "No service answers"), ("krios", "'krios'")):
        said = refused(machine, capsys, "stop", name)
        assert what in said
        assert "safe: NOT KNOWN, nothing was stopped." in said
        assert "next: blank at the microscope itself" in said


def test_the_console_is_that_of_this_machines_instrument_alone(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(machine, capsys, "lease", "show", "scope", "--console").strip() == "free"
    said = refused(machine, capsys, "lease", "show", "titan", "--console")
    assert "'scope'" in said
    assert "'titan'" in said


def test_the_lease_is_taken_over_for_one_command(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "eucentric", "lease", "hold", "--as", "ada"]
    holder = subprocess.Popen([*command, "--config", str(machine.config)], stderr=subprocess.PIPE, text=True)
    assert holder.stderr is not None
    try:
        assert "you hold the lease" in holder.stderr.readline()
        told(machine, capsys, "scope", "do", "optics.defocus", "defocus_m=0", "--take-over", "--console")
        assert holder.wait(timeout=20) == 2
        said = holder.stderr.read()
        assert said.count("error:") == 1
        assert len(said.strip().splitlines()) == 3, said
    finally:
        holder.kill()
        holder.wait()
        holder.stderr.close()


def test_interlocks_are_shown_and_made_tighter(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert "limits" in json.loads(told(machine, capsys, "interlocks", "show", "--json"))
    tighter = told(machine, capsys, "interlocks", "tighten", "titan", "beam.max_unblank_s=100")
    assert "beam.max_unblank_s" in tighter
    assert "100" in told(machine, capsys, "interlocks", "show", "titan")
    assert "session_beam_on_s" in told(machine, capsys, "interlocks", "show")
    refused(machine, capsys, "interlocks", "tighten", "beam.max_unblank_s=200")
    for wrong in (("titan",), ("max_unblank_s=5",), ("titan", "beam.max_unblank_s")):
        assert "nothing was sent" in refused(machine, capsys, "interlocks", "tighten", *wrong)
