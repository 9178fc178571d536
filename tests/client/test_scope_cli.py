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
    facts = json.loads(told(machine, capsys, "scope", "show", "titan", "--json"))
    assert facts["state"]["beam_blanked"] is True
    assert told(machine, capsys, "scope", "watch", "--seconds", "0.1")


def test_one_command_is_carried_out_under_a_lease_of_its_own(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = json.loads(told(machine, capsys, "scope", "do", "optics.defocus", "defocus_m=3e-9"))
    assert answer["commanded"] == 3e-9
    state = json.loads(told(machine, capsys, "scope", "do", "state.get"))
    assert state["optics"]["defocus_m"] == 3e-9
    assert told(machine, capsys, "lease", "show").strip() == "free"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("stage.moov", "x_m=1e-9"), "'stage.moov'"),
        (("stage.move", "x=1e-9"), "x: extra inputs"),
        (("stage.move", "x_m=50"), "x_m: input should be less than"),
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
    assert "No service answers" in refused(machine, capsys, "stop", "far-away")
