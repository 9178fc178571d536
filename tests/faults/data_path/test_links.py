"""The faulty link itself: each toxic does to a connection what it is meant to do, and nothing else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from ...links import (
    Bandwidth,
    Direction,
    Latency,
    LimitData,
    Link,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
    Toxic,
)

WAIT_S = 60.0
MESSAGE = bytes(range(256)) * 64


@pytest.fixture
def echo() -> Iterator[int]:
    """Port of a server that sends back what it gets, until the other side has said everything."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(4096):
                    connection.sendall(data)
            except OSError:
                return

    def accept() -> None:
        try:
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
        except OSError:
            return

    accepting = threading.Thread(target=accept)
    accepting.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    accepting.join()


def call(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=WAIT_S)


def everything(end: socket.socket) -> bytes:
    """All that still comes, until the other side ends the connection in whatever way."""
    received = b""
    try:
        while data := end.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize("direction", [None, "to_server", "to_client"])
@pytest.mark.parametrize(
    "toxic", [None, Latency(0.05), Bandwidth(300e3), SlowClose(0.1), Slicer(3000, 0.002)], ids=repr
)
def test_what_only_slows_down_changes_no_byte(
    echo: int, toxic: Toxic | None, direction: Direction | None
) -> None:
    with Link(echo) as link, call(link) as end:
        if toxic is not None:
            link.poison(toxic, direction)
        end.sendall(MESSAGE)
        end.shutdown(socket.SHUT_WR)
        assert everything(end) == MESSAGE


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_limited_data_ends_the_connection_at_that_byte(echo: int, direction: Direction) -> None:
    with Link(echo) as link, call(link) as end:
        link.poison(LimitData(1000), direction)
        end.sendall(MESSAGE)
        received = everything(end)
        assert received == MESSAGE[: len(received)]
        assert len(received) == 1000 if direction == "to_client" else len(received) <= 1000


def test_a_reset_is_one(echo: int) -> None:
    with Link(echo) as link, call(link) as end:
        end.sendall(b"x")
        assert end.recv(1) == b"x"
        link.poison(ResetPeer(0.0))
        with pytest.raises(ConnectionResetError):
            end.recv(1)


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_a_timeout_swallows_everything_and_ends_the_connection_with_the_toxic(
    echo: int, direction: Direction
) -> None:
    with Link(echo) as link:
        with call(link) as end:
            link.poison(Timeout(60.0), direction)
            end.sendall(b"swallowed")
            end.settimeout(0.2)
            with pytest.raises(TimeoutError):
                end.recv(1)
            end.settimeout(WAIT_S)
            link.mend()
            assert everything(end) == b""
        with call(link) as end:
            end.sendall(b"x")
            assert end.recv(1) == b"x"


def test_silence_holds_back_and_mending_lets_through(echo: int) -> None:
    with Link(echo) as link, call(link) as end:
        end.sendall(b"1")
        assert end.recv(1) == b"1"
        link.fall_silent()
        end.sendall(b"2")
        end.settimeout(0.2)
        with pytest.raises(TimeoutError):
            end.recv(1)
        end.settimeout(WAIT_S)
        link.mend()
        assert end.recv(1) == b"2"


def test_a_cut_ends_every_connection_and_refuses_new_ones_until_it_is_mended(echo: int) -> None:
    with Link(echo) as link:
        with call(link) as end:
            end.sendall(b"1")
            assert end.recv(1) == b"1"
            link.cut()
            assert everything(end) == b""
        with call(link) as end:
            assert everything(end) == b""
        link.mend()
        with call(link) as end:
            end.sendall(b"3")
            assert end.recv(1) == b"3"
