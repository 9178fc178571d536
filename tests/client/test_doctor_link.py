"""A link is measured from both ends within bounds, and the advice follows from the figures alone."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from eucentric.cli import main
from eucentric.doctor._link_advice import LinkFigures, RoundTrips, advise
from eucentric.doctor._link_client import LinkClient
from eucentric.doctor._link_command import _address
from eucentric.doctor._link_protocol import Answer, Echo, Hello, Sink, read_line, say
from eucentric.doctor._link_report import link_report
from eucentric.doctor._link_server import LinkServer, ServeLimits
from eucentric_core import ConfigurationError, LinkSettings, ServiceUnavailableError, TransportError
from eucentric_core.transport import find_free_port, open_pacer, read_link_measurement

_PATIENCE_S = 30.0


@pytest.fixture
def limits() -> ServeLimits:
    return ServeLimits(silence_s=_PATIENCE_S)


@pytest.fixture
def server(limits: ServeLimits) -> Iterator[LinkServer]:
    """A far end on loopback."""
    far_end = LinkServer("127.0.0.1", 0, limits=limits)
    thread = threading.Thread(target=far_end.serve)
    thread.start()
    yield far_end
    far_end.stop()
    thread.join(_PATIENCE_S)
    assert not thread.is_alive()


def ask(server: LinkServer, request: Hello | Echo | Sink) -> tuple[socket.socket, Answer]:
    """Say one thing to the far end, and what it says to that."""
    sock = socket.create_connection(server.address, _PATIENCE_S)
    say(sock, request)
    return sock, Answer.model_validate_json(read_line(sock, timeout_s=_PATIENCE_S))


def trips(p50_ms: float, p90_ms: float | None = None) -> RoundTrips:
    """Round trips of a case; the p90 is that of quiet ones if it is not given."""
    p90_ms = p50_ms + 0.2 if p90_ms is None else p90_ms
    return RoundTrips(count=100, p50_s=p50_ms / 1e3, p90_s=p90_ms / 1e3, p99_s=(p90_ms + 0.2) / 1e3)


def figures(
    *,
    unpaced: RoundTrips,
    marked: RoundTrips,
    paced: RoundTrips | None = None,
    idle: RoundTrips | None = None,
) -> LinkFigures:
    """A link of 100 Mbit/s, 10 ms away."""
    return LinkFigures(
        far_end="hpc",
        line_rate_bit_s=99.83e6,
        rate_up_bit_s=95.5e6,
        rate_down_bit_s=95.9e6,
        rate_paced_bit_s=91.8e6,
        fraction=0.92,
        idle=idle or trips(10.4),
        unpaced=unpaced,
        marked=marked,
        paced=paced or trips(10.5),
    )


# ---- advice --------------------------------------------------------------------------------------------


def test_a_plain_queue_asks_for_pacing_below_its_rate() -> None:
    advice = advise(figures(unpaced=trips(110), marked=trips(112)))
    assert advice.honours == "none"
    settings = LinkSettings.model_validate(tomllib.loads(advice.toml())["link"])
    assert (settings.mode, settings.line_rate_bit_s) == ("adaptive", 99.8e6)
    assert open_pacer(settings).status().rate_bit_s == pytest.approx(0.93 * 99.8e6)


def test_a_link_that_honours_marks_needs_no_pacing() -> None:
    advice = advise(figures(unpaced=trips(110), marked=trips(11)))
    assert advice.honours == "dscp"
    settings = LinkSettings.model_validate(tomllib.loads(advice.toml())["link"])
    assert (settings.mode, settings.honours) == ("auto", "dscp")
    assert open_pacer(settings).status().rate_bit_s is None


def test_marks_that_help_a_little_are_not_honoured() -> None:
    assert advise(figures(unpaced=trips(110), marked=trips(60))).honours == "none"


def test_a_link_whose_queue_is_not_seen_is_told_so() -> None:
    advice = advise(figures(unpaced=trips(10.8), marked=trips(10.6)))
    assert advice.settings["mode"] == "adaptive"
    assert "did not wait" in advice.reasons[0]


def test_a_restless_path_gets_a_fixed_rate_because_noise_looks_like_a_queue() -> None:
    advice = advise(figures(idle=trips(10, 25), unpaced=trips(110), marked=trips(110)))
    assert advice.settings["mode"] == "fixed"
    assert any("noise" in reason for reason in advice.reasons)


def test_control_that_waits_behind_others_is_told_to_ask_for_marks() -> None:
    advice = advise(figures(unpaced=trips(110), marked=trips(110), paced=trips(100)))
    assert any("DSCP 46" in reason for reason in advice.reasons)


def test_the_report_shows_every_case_with_a_bar_and_the_section_to_paste() -> None:
    measured = figures(unpaced=trips(110), marked=trips(112))
    console = Console(width=79, record=True, file=io.StringIO())
    console.print(link_report(measured, advise(measured)))
    text = console.export_text()
    for expected in ("idle", "unpaced", "held at 92%", "110.4 ms", "█", "95.5 Mbit/s", "[link]"):
        assert expected in text
    assert "…" not in text


# ---- measuring -----------------------------------------------------------------------------------------


def test_a_link_is_measured_from_both_ends(server: LinkServer) -> None:
    measured = LinkClient(*server.address, case_s=0.4).measure()
    assert measured.idle.count >= 20
    assert 0 < measured.idle.p50_s <= measured.idle.p90_s <= measured.idle.p99_s
    assert min(measured.rate_up_bit_s, measured.rate_down_bit_s, measured.rate_paced_bit_s) > 1e6
    assert measured.line_rate_bit_s > measured.rate_up_bit_s  # headers count
    assert server.sessions == 1


def test_one_client_at_a_time_and_the_next_when_it_has_gone(server: LinkServer) -> None:
    first, answer = ask(server, Hello())
    second, refused = ask(server, Hello())
    assert not answer.problem
    assert "Another machine" in refused.problem
    with pytest.raises(TransportError, match="Another machine"):
        LinkClient(*server.address, case_s=0.1).measure()
    first.close()
    second.close()
    for _ in range(100):
        third, answer = ask(server, Hello())
        third.close()
        if not answer.problem:
            return
    pytest.fail("the session was never given up")


def test_without_a_session_nothing_is_swallowed_or_echoed(server: LinkServer) -> None:
    for request in (Sink(session="0" * 32, duration_s=1), Echo(session="0" * 32)):
        sock, answer = ask(server, request)
        with sock:
            assert "no such measurement" in answer.problem
            assert sock.recv(1) == b""


@pytest.mark.parametrize(
    "line", [b"GET / HTTP/1.1\r\n\r\n", b"{}\n", b'{"op":"sink","duration_s":1e9}\n', b"\n"]
)
def test_what_is_no_request_is_refused(server: LinkServer, line: bytes) -> None:
    with socket.create_connection(server.address, _PATIENCE_S) as sock:
        sock.sendall(line)
        assert Answer.model_validate_json(read_line(sock, timeout_s=_PATIENCE_S)).problem


def test_an_endless_line_is_cut_short(server: LinkServer) -> None:
    with socket.create_connection(server.address, _PATIENCE_S) as sock:
        sock.sendall(b"x" * 2048)
        assert "protocol" in Answer.model_validate_json(read_line(sock, timeout_s=_PATIENCE_S)).problem


@pytest.mark.parametrize("limits", [ServeLimits(session_bytes=1 << 20, silence_s=_PATIENCE_S)])
def test_a_client_gets_no_more_bytes_than_are_given_away(server: LinkServer) -> None:
    session, answer = ask(server, Hello())
    sock, _ = ask(server, Sink(session=answer.session, duration_s=20))
    with session, sock, pytest.raises(OSError, match=r"reset|pipe"):
        sock.sendall(bytes(64 << 20))


@pytest.mark.parametrize("limits", [ServeLimits(session_s=0.3, silence_s=_PATIENCE_S)])
def test_a_session_ends_when_its_time_is_over(server: LinkServer) -> None:
    session, answer = ask(server, Hello())
    with session:
        session.settimeout(_PATIENCE_S)
        assert session.recv(1) == b""
    sock, refused = ask(server, Echo(session=answer.session))
    sock.close()
    assert "over" in refused.problem


@pytest.mark.parametrize("limits", [ServeLimits(silence_s=0.3)])
def test_a_silent_connection_is_hung_up(server: LinkServer) -> None:
    with socket.create_connection(server.address, _PATIENCE_S) as sock:
        assert "in time" in Answer.model_validate_json(read_line(sock, timeout_s=_PATIENCE_S)).problem


def test_the_service_ends_by_itself_when_its_lifetime_is_over() -> None:
    far_end = LinkServer("127.0.0.1", 0, limits=ServeLimits(lifetime_s=0.1))
    far_end.serve()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(far_end.address, _PATIENCE_S)


def test_stopping_it_hangs_up_on_whoever_is_there() -> None:
    far_end = LinkServer("127.0.0.1", 0)
    thread = threading.Thread(target=far_end.serve)
    thread.start()
    session, answer = ask(far_end, Hello())
    with session, ask(far_end, Echo(session=answer.session))[0]:
        far_end.stop()
        thread.join(_PATIENCE_S)
        assert not thread.is_alive()


def test_a_name_that_no_machine_has_is_said_to_be_one() -> None:
    # One that no name server has to be asked for.
    with pytest.raises(ConfigurationError, match=r"No machine is known by the name 'far\.\.end'"):
        LinkClient("far..end", 4390).measure()


def test_nobody_there_is_said_with_what_to_start() -> None:
    with pytest.raises(ServiceUnavailableError, match=r"--serve-link"):
        LinkClient("127.0.0.1", find_free_port()).measure()


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError, match="listen"):
        LinkServer("127.0.0.1", taken.getsockname()[1])


# ---- commands ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("hpc.example.org", ("hpc.example.org", 4390)),
        ("hpc.example.org:99", ("hpc.example.org", 99)),
        ("::1", ("::1", 4390)),
        ("[::1]:99", ("::1", 99)),
    ],
)
def test_the_far_end_is_a_host_with_or_without_a_port(where: str, expected: tuple[str, int]) -> None:
    assert _address(where) == expected


@pytest.mark.parametrize("where", ["", "http://hpc", "hpc:port", "hpc:99999", "user@hpc", "hpc/x"])
def test_what_is_no_host_is_refused(where: str) -> None:
    with pytest.raises(ConfigurationError, match="HOST"):
        _address(where)


def test_both_commands_work_together_and_the_measurement_is_remembered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EUCENTRIC__HOME", str(tmp_path))
    port = find_free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "eucentric", "doctor", "--serve-link", "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
    ) as far_end:
        assert far_end.stdout is not None
        assert "Carries no data of the instrument" in far_end.stdout.readline()
        assert main(["doctor", "--link", f"127.0.0.1:{port}", "--seconds", "0.5", "--json"]) == 0
        far_end.terminate()
        rest = far_end.stdout.read()
    assert "1 measurement served" in rest
    assert far_end.returncode == 0
    report = json.loads(capsys.readouterr().out)
    link = LinkSettings.model_validate(tomllib.loads(report["advice"]["toml"])["link"])
    assert link.line_rate_bit_s is not None
    remembered = read_link_measurement(tmp_path)
    assert remembered is not None
    assert remembered.line_rate_bit_s == pytest.approx(report["figures"]["line_rate_bit_s"])
    assert remembered.honours == report["advice"]["honours"]
