"""Control packets say that they come first and bulk packets that they come last, on every socket."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import psutil
import pytest
import zmq

from eucentric_core.transport import (
    DataServer,
    PyroControlClient,
    PyroControlServer,
    StreamSubscriber,
    kernel_pace,
    mark_bulk,
    mark_control,
)
from eucentric_core.transport._marking import connect_control

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows marks by a policy of the system")

EXPEDITED = 46 << 2
LOWER_EFFORT = 1 << 2
MAX_PACING_RATE = 47


def type_of_service(sock: socket.socket) -> int:
    """The mark that a socket's packets carry."""
    if sock.family == socket.AF_INET6:
        return sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
    return sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS)


def priority(sock: socket.socket) -> int:
    """The place of a socket's packets in this machine's own queues."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY)


def marks_of_port(port: int) -> list[tuple[int, int]]:
    """Type of service and priority of each connection of this process that has `port` at its near end."""
    marks = []
    for connection in psutil.Process().net_connections(kind="tcp"):
        if connection.laddr.port == port and connection.status == psutil.CONN_ESTABLISHED:
            with socket.fromfd(connection.fd, connection.family, socket.SOCK_STREAM) as sock:
                marks.append((type_of_service(sock), priority(sock)))
    return marks


@pytest.fixture
def server() -> Iterator[PyroControlServer]:
    """A control server in a thread of this process, so that its sockets can be looked at."""
    control = PyroControlServer({"ping": lambda _: {}}, host="127.0.0.1", port=0)
    thread = threading.Thread(target=control.serve)
    thread.start()
    yield control
    control.stop()
    thread.join()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_control_socket_is_marked_in_both_internet_protocols(family: socket.AddressFamily) -> None:
    with socket.socket(family) as sock:
        assert mark_control(sock)
        assert type_of_service(sock) == EXPEDITED
        assert priority(sock) == 6


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_bulk_is_marked_by_socket_or_by_a_descriptor_that_stays_open(family: socket.AddressFamily) -> None:
    with socket.socket(family) as by_socket, socket.socket(family) as by_descriptor:
        assert mark_bulk(by_socket)
        assert mark_bulk(by_descriptor.fileno())
        for sock in (by_socket, by_descriptor):
            assert type_of_service(sock) == LOWER_EFFORT
            assert priority(sock) == 2


def test_a_mark_may_be_another_class() -> None:
    with socket.socket() as sock:
        mark_bulk(sock, dscp=8)
        assert type_of_service(sock) == 8 << 2


def test_what_has_no_packets_takes_no_mark() -> None:
    here, there = socket.socketpair()
    with here, there:
        assert not mark_control(here)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux paces in the kernel")
def test_the_kernel_is_told_the_rate_and_told_to_forget_it() -> None:
    with socket.socket() as sock:
        assert kernel_pace(sock, 11.5e6)
        assert sock.getsockopt(socket.SOL_SOCKET, MAX_PACING_RATE) == 11_500_000
        assert kernel_pace(sock.fileno(), None)
        assert sock.getsockopt(socket.SOL_SOCKET, MAX_PACING_RATE) & 0xFFFFFFFF == 0xFFFFFFFF


def test_both_ends_of_a_control_connection_are_marked(server: PyroControlServer) -> None:
    host, port = server.address
    with closing(PyroControlClient(host, port)) as client:
        client.call("ping", {})
        proxy = client._proxy
        assert proxy is not None
        near = proxy._pyroConnection.sock
        assert (type_of_service(near), priority(near)) == (EXPEDITED, 6)
        assert marks_of_port(port) == [(EXPEDITED, 6)]


def test_the_handshake_is_answered_with_the_mark(server: PyroControlServer) -> None:
    # The kernel answers a SYN before anybody accepts, with what the listener says.
    assert type_of_service(server._listener) == EXPEDITED
    assert priority(server._listener) == 6


def test_a_connection_is_marked_before_its_first_packet(server: PyroControlServer) -> None:
    with connect_control(server.address, 5.0) as sock:
        assert (type_of_service(sock), priority(sock)) == (EXPEDITED, 6)


def test_a_host_is_tried_at_each_of_its_addresses_and_the_last_refusal_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with connect_control(("localhost", port), 5.0) as sock:  # ::1 may come first, and refuses
            assert sock.getpeername()[:2] == ("127.0.0.1", port)
    with pytest.raises(ConnectionRefusedError):
        connect_control(("127.0.0.1", port), 5.0)


@pytest.mark.parametrize(("leaves_machine", "expected"), [(True, (8 << 2, 2)), (False, (0, 0))])
def test_what_leaves_the_machine_carries_the_class_of_the_settings_and_what_stays_none(
    start_data: Callable[..., DataServer],
    context: zmq.Context[zmq.Socket[bytes]],
    leaves_machine: bool,
    expected: tuple[int, int],
) -> None:
    server = start_data(leaves_machine=lambda _: leaves_machine, bulk_dscp=8)
    with StreamSubscriber(*server.address, mode="newest", context=context) as subscriber:
        subscriber.wait_subscribed(20)
        assert marks_of_port(server.address[1]) == [expected]
