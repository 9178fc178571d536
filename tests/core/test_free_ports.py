"""Ports for services: each given once over all processes, none that an outgoing connection may take."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eucentric_core import ConfigurationError
from eucentric_core.transport import find_free_port
from eucentric_core.transport._free_ports import _HELD, outside_ephemeral

ASKING = """
import random, sys
from eucentric_core.transport import find_free_port
random.seed(0)
print(*[find_free_port() for _ in range(int(sys.argv[1]))], flush=True)
sys.stdin.read()
"""


def asking(count: int) -> subprocess.Popen[str]:
    """A process that asks for numbers, tells them, binds none, and stays."""
    return subprocess.Popen(
        [sys.executable, "-c", ASKING, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def numbers(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    return [int(word) for word in process.stdout.readline().split()]


def test_no_number_is_given_twice_while_those_who_asked_live() -> None:
    processes = [asking(_HELD) for _ in range(2)]
    try:
        given_to_others = [port for process in processes for port in numbers(process)]
        mine = [find_free_port() for _ in range(_HELD)]
        every = given_to_others + mine
        assert len(every) == 3 * _HELD
        assert len(set(every)) == len(every)
    finally:
        for process in processes:
            process.communicate()


def test_a_number_can_be_bound_by_whom_it_was_asked_for() -> None:
    port = find_free_port()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", port))


def test_ports_that_are_taken_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", find_free_port())) as taken:
        one, free = taken.getsockname()[1], find_free_port()
        # The one just given is held by this process still.
        monkeypatch.setattr("eucentric_core.transport._free_ports._from_anywhere", lambda _ports: [one, free])
        with pytest.raises(ConfigurationError, match="in use"):
            find_free_port()


def test_an_address_that_this_machine_does_not_have_is_said() -> None:
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1"):
        find_free_port("192.0.2.1")


@given(st.integers(1, 65_535), st.integers(1, 65_535))
def test_what_the_kernel_gives_to_connections_is_left_alone(one: int, other: int) -> None:
    ephemeral = range(min(one, other), max(one, other) + 1)
    chosen = outside_ephemeral(ephemeral)
    assert len(chosen) >= 1_000
    apart = set(chosen).isdisjoint(ephemeral)
    assert apart or len(set(range(20_000, 30_000)) - set(ephemeral)) < 1_000
