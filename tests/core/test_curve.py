"""Data leave the machine only to who has shown a certificate, for as long as it counts, and encrypted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import zmq

from eucentric_core import (
    BusyError,
    Caller,
    ConfigurationError,
    Frame,
    NotAuthorisedError,
    ServiceUnavailableError,
)
from eucentric_core.transport import (
    DATA_OPEN,
    DataAccess,
    DataOpening,
    DataServer,
    KeyRing,
    OwnAccess,
    PyroControlClient,
    PyroControlServer,
    StreamPublisher,
    StreamSubscriber,
)

Context = zmq.Context[zmq.Socket[bytes]]
Payload = dict[str, Any]


class Service:
    """A data server with keys, and a control channel that gives them out."""

    def __init__(self, start_data: Callable[..., DataServer], start_control: Callable[..., Any]) -> None:
        self.keys = KeyRing()
        self.data = start_data(keys=self.keys)
        self.refuses = threading.Event()
        self.valid_s = 15.0
        self.asked: list[str] = []
        self.control: PyroControlServer = start_control(self._methods)

    def _methods(self, caller: Caller) -> dict[str, Any]:
        def open_data(payload: Payload) -> Payload:
            if self.refuses.is_set():
                raise NotAuthorisedError("Your certificate was revoked.", safe="all.", next_step="ask.")
            self.asked.append(str(payload["public_key"]))
            self.keys.admit(str(payload["public_key"]), caller.name, valid_s=self.valid_s)
            opening = DataOpening(server_key=self.keys.server_key, valid_s=self.valid_s)
            return opening.model_dump(mode="json")

        return {DATA_OPEN: open_data}

    def access(self) -> DataAccess:
        """What a client has: the control channel."""
        host, port = self.control.address
        return DataAccess(lambda timeout_s: PyroControlClient(host, port, timeout_s=timeout_s), client="test")

    @contextmanager
    def subscribed(self, context: Context, access: Any = None, **options: Any) -> Iterator[StreamSubscriber]:
        """A subscriber with keys."""
        with StreamSubscriber(
            *self.data.address,
            mode="lossless",
            context=context,
            access=access or self.access(),
            expiry_s=1.0,
            **options,
        ) as subscriber:
            subscriber.wait_subscribed(20)
            yield subscriber


@pytest.fixture
def service(start_data: Callable[..., DataServer], start_control: Callable[..., Any]) -> Service:
    """A service with keys."""
    return Service(start_data, start_control)


@pytest.fixture
def publish(
    service: Service, context: Context, make_frame: Callable[..., Frame]
) -> Iterator[Callable[[int], None]]:
    """Publishes frames by number."""
    publisher = StreamPublisher(service.data.ingest_endpoint, context=context, timeout_s=20)

    def one(sequence: int) -> None:
        frame = make_frame(sequence)
        publisher.publish(frame.header, frame.array)

    yield one
    publisher.close()


@contextmanager
def disconnection(socket: zmq.Socket[bytes]) -> Iterator[zmq.Socket[bytes]]:
    """What becomes readable when the other end of a socket ends the connection."""
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    try:
        yield monitor
    finally:
        socket.disable_monitor()
        monitor.close(linger=0)


def sequence_of(subscriber: StreamSubscriber) -> int:
    """Number of the next frame."""
    message = subscriber.receive(20)
    assert message is not None
    subscriber.acknowledge()
    return message.frame().header.sequence


def receive_for_ever(subscriber: StreamSubscriber) -> None:
    """Wait until that fails; nothing may come."""
    while True:
        assert subscriber.receive(0.2) is None


@contextmanager
def stranger(service: Service, context: Context, **keys: bytes) -> Iterator[zmq.Socket[bytes]]:
    """A socket of somebody's own making, that asks for everything."""
    with context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        for name, value in keys.items():
            socket.setsockopt(getattr(zmq, f"CURVE_{name.upper()}"), value)
        socket.connect("tcp://{}:{}".format(*service.data.address))
        socket.send_json({"op": "subscribe", "generation": 1, "streams": [], "mode": "newest", "credit": 9})
        yield socket


def test_who_was_let_in_over_control_gets_frames(
    service: Service, context: Context, publish: Callable[[int], None]
) -> None:
    with service.subscribed(context) as subscriber:
        publish(7)
        assert sequence_of(subscriber) == 7


def test_no_key_and_a_key_that_nobody_knows_get_not_a_byte(
    service: Service, context: Context, publish: Callable[[int], None]
) -> None:
    public, secret = zmq.curve_keypair()
    right = service.keys.server_key.encode()
    wrong, _ = zmq.curve_keypair()
    admitted, its_secret = zmq.curve_keypair()
    service.keys.admit(admitted.decode(), "somebody")
    with (
        service.subscribed(context) as subscriber,
        stranger(service, context) as without_key,
        stranger(service, context, publickey=public, secretkey=secret, serverkey=right) as unknown,
        stranger(service, context, publickey=admitted, secretkey=its_secret, serverkey=wrong) as deceived,
        stranger(service, context, publickey=admitted, secretkey=secret, serverkey=right) as thief,
        stranger(service, context, publickey=admitted, secretkey=its_secret, serverkey=right) as known,
    ):
        assert known.poll(20_000)
        for number in range(20):
            publish(number)
            assert sequence_of(subscriber) == number
        assert not any(socket.poll(100) for socket in (without_key, unknown, deceived, thief))


def test_a_key_that_is_removed_ends_the_connection_with_all_that_is_on_its_way(
    service: Service, context: Context, publish: Callable[[int], None]
) -> None:
    public, secret = zmq.curve_keypair()
    service.keys.admit(public.decode(), "somebody")
    right = service.keys.server_key.encode()
    with (
        service.subscribed(context) as other,
        stranger(service, context, publickey=public, secretkey=secret, serverkey=right) as revoked,
        disconnection(revoked) as monitor,
    ):
        assert revoked.recv() == b"subscribed"
        publish(1)
        assert revoked.recv_multipart()[0] == b"data"
        assert sequence_of(other) == 1
        service.keys.remove(public.decode())
        assert monitor.poll(20_000)
        publish(2)
        assert sequence_of(other) == 2
        assert not revoked.poll(300)


def test_a_key_expires_unless_it_is_renewed(
    service: Service, context: Context, publish: Callable[[int], None]
) -> None:
    public, secret = zmq.curve_keypair()
    service.keys.admit(public.decode(), "somebody", valid_s=1.0)
    service.valid_s = 1.0
    right = service.keys.server_key.encode()
    with (
        service.subscribed(context) as renewing,
        stranger(service, context, publickey=public, secretkey=secret, serverkey=right) as forgetful,
        disconnection(forgetful) as monitor,
    ):
        assert monitor.poll(20_000)
        publish(3)
        assert sequence_of(renewing) == 3
    assert len(service.asked) > 2
    assert len(set(service.asked)) == 1


def test_who_is_refused_over_control_is_told_so_and_receives_nothing_more(
    service: Service, context: Context, publish: Callable[[int], None]
) -> None:
    service.valid_s = 1.0
    with service.subscribed(context) as subscriber:
        service.refuses.set()
        deadline_s = time.monotonic() + 20
        while len(service.keys) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        publish(1)
        with pytest.raises(ServiceUnavailableError, match="silent"):
            receive_for_ever(subscriber)
        with (
            pytest.raises(NotAuthorisedError, match="revoked"),
            StreamSubscriber(
                *service.data.address, mode="newest", context=context, access=service.access()
            ) as late,
        ):
            late.wait_subscribed(20)


def test_a_server_that_was_restarted_with_another_key_is_found_again(
    service: Service,
    context: Context,
    start_data: Callable[..., DataServer],
    make_frame: Callable[..., Frame],
) -> None:
    with service.subscribed(context) as subscriber:
        _, port = service.data.address
        service.keys = KeyRing()
        second = start_data(port=port, keys=service.keys)
        publisher = StreamPublisher(second.ingest_endpoint, context=context, timeout_s=20)
        message, number = None, 0
        try:
            while message is None:  # what is sent before it is found again is not for us
                frame = make_frame(number)
                publisher.publish(frame.header, frame.array)
                # On a busy machine it may take longer than the silence that a subscriber complains of.
                with suppress(ServiceUnavailableError):
                    message = subscriber.receive(0.05)
                number += 1
        finally:
            publisher.close()
    assert message.stream == "haadf"


def test_the_servers_own_recorder_needs_no_control_channel(
    service: Service, context: Context, publish: Callable[[int], None]
) -> None:
    with service.subscribed(context, OwnAccess(service.keys, "recorder")) as recorder:
        publish(5)
        assert sequence_of(recorder) == 5
    assert not service.asked


def test_a_service_without_keys_says_so_and_is_used_without(
    context: Context,
    start_data: Callable[..., DataServer],
    start_control: Callable[..., PyroControlServer],
) -> None:
    server = start_data()
    control = start_control({DATA_OPEN: lambda _: {"server_key": None}})
    access = DataAccess(
        lambda timeout_s: PyroControlClient(*control.address, timeout_s=timeout_s), client="test"
    )
    with StreamSubscriber(*server.address, mode="newest", context=context, access=access) as subscriber:
        subscriber.wait_subscribed(20)


def test_nobody_fills_the_key_ring_and_nobody_renews_anothers_key() -> None:
    now_s = [0.0]
    keys = KeyRing(clock=lambda: now_s[0])
    theirs = [f"{number:040d}" for number in range(65)]
    for key in theirs[:64]:
        keys.admit(key, "ada")
    with pytest.raises(BusyError, match="no room"):
        keys.admit(theirs[64], "ada")
    with pytest.raises(BusyError, match="somebody else's"):
        keys.admit(theirs[0], "eve")
    keys.admit(theirs[0], "ada")
    keys.admit(theirs[64], "eve")
    assert len(keys) == 65
    now_s[0] = 16.0
    assert keys.holder_of(theirs[0]) is None
    assert len(keys) == 0


def test_two_servers_with_keys_do_not_share_a_context(service: Service, context: Context) -> None:
    with pytest.raises(ConfigurationError, match="share one ZeroMQ context"):
        DataServer(
            host="127.0.0.1", port=0, ingest_endpoint="inproc://other", context=context, keys=KeyRing()
        )
