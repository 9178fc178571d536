"""Silent, slow, half-closed and malformed connections lock nobody out, crash nothing and fill no memory."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import marshal
import random
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from eucentric_core import Role, TlsSettings, TransportError
from eucentric_core.security import client_context
from eucentric_core.transport import ControlLimits, PyroControlClient, PyroControlServer

from .certificates import Site

StartControl = Callable[..., PyroControlServer]
Transport = Callable[[PyroControlServer], socket.socket]

CONNECT, INVOKE = 1, 4
JSON = 3
COMPRESSED, ONEWAY, BATCH, KEEP_SERIALIZED = 2, 4, 8, 32
LIMIT_BYTES = 2 * (1 << 20) + 4096
HELLO = json.dumps({"handshake": "hello", "object": "control"}).encode()
CALL = json.dumps({"object": "control", "method": "call", "params": ["count", "{}"], "kwargs": {}}).encode()


def message(
    kind: int,
    data: bytes,
    *,
    serializer: int = JSON,
    flags: int = 0,
    length: int | None = None,
    annotations: bytes = b"",
) -> bytes:
    """A message of Pyro's wire protocol (version 502), true or not."""
    size = len(data) if length is None else length
    header = (b"PYRO", 502, kind, serializer, flags, 1, size, len(annotations), b"\0" * 16, 0, 0x4DC5)
    return struct.pack("!4sHBBHHII16sHH", *header) + annotations + data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site") / "authority")


@pytest.fixture(scope="module")
def credentials(site: Site) -> dict[str, TlsSettings | None]:
    return {
        "plain server": None,
        "plain client": None,
        "tls server": site.server(),
        "tls client": site.person("anna", Role.ADMIN),
    }


@pytest.fixture(params=["plain", "tls"])
def start(
    request: pytest.FixtureRequest, start_control: StartControl, credentials: dict[str, TlsSettings | None]
) -> tuple[StartControl, Callable[[PyroControlServer], PyroControlClient]]:
    """How to start a server and to call it, without and with TLS."""
    kind = request.param

    def serve(*arguments: object, **options: object) -> PyroControlServer:
        return start_control(*arguments, credentials=credentials[f"{kind} server"], **options)

    def call(server: PyroControlServer) -> PyroControlClient:
        return PyroControlClient(*server.address, timeout_s=5, credentials=credentials[f"{kind} client"])

    return serve, call


class Counter:
    """What a service did."""

    def __init__(self) -> None:
        self.calls = 0

    def count(self, _: object) -> dict[str, object]:
        self.calls += 1
        return {"calls": self.calls}


@contextlib.contextmanager
def crowd(server: PyroControlServer, number: int) -> Iterator[None]:
    """Connections that say nothing, or a few bytes and then nothing, or close one direction, or dribble."""
    over = threading.Event()
    with contextlib.ExitStack() as stack:
        everybody = [stack.enter_context(socket.create_connection(server.address)) for _ in range(number)]
        for index, connection in enumerate(everybody):
            with contextlib.suppress(OSError):  # hung up on already
                if index % 4 == 1:
                    connection.sendall(b"\x16\x03\x01" if index % 8 == 1 else b"PYRO")
                elif index % 4 == 2:
                    connection.shutdown(socket.SHUT_WR)

        def dribble() -> None:
            text = itertools.cycle(b"\x16\x03\x01\x02\x00\x01")
            while not over.wait(0.02):
                byte = bytes([next(text)])
                for connection in everybody[3::4]:
                    with contextlib.suppress(OSError):
                        connection.send(byte)

        dribbler = threading.Thread(target=dribble)
        dribbler.start()
        try:
            yield
        finally:
            over.set()
            dribbler.join()


def test_two_hundred_idle_connections_lock_nobody_out(
    start: tuple[StartControl, Callable[[PyroControlServer], PyroControlClient]],
) -> None:
    serve, call = start
    release = threading.Event()

    def scan(_: object) -> dict[str, object]:
        assert release.wait(60)
        return {"scan": "aborted"}

    def stop(_: object) -> dict[str, object]:
        release.set()
        return {"stop": "done"}

    counter = Counter()
    server = serve({"count": counter.count, "scan": scan, "stop": stop})
    there_before, scanning, newcomer = call(server), call(server), call(server)
    there_before.call("count", {})
    with ThreadPoolExecutor(1) as pool:
        scanned = pool.submit(scanning.call, "scan", {})
        with crowd(server, 200):
            assert there_before.call("count", {}) == {"calls": 2}
            assert newcomer.call("stop", {}) == {"stop": "done"}  # a fresh connection
        assert scanned.result(20) == {"scan": "aborted"}
    for client in (there_before, scanning, newcomer):
        client.close()


def test_a_newcomer_gets_in_when_it_is_full(
    start: tuple[StartControl, Callable[[PyroControlServer], PyroControlClient]],
) -> None:
    serve, call = start
    release = threading.Event()

    def wait(_: object) -> dict[str, object]:
        assert release.wait(60)
        return {"waited": True}

    counter = Counter()
    server = serve(
        {"count": counter.count, "wait": wait}, limits=ControlLimits(connections=20, handshake_s=60)
    )
    busy, idle = call(server), [call(server) for _ in range(30)]
    with ThreadPoolExecutor(1) as pool, crowd(server, 100):
        waiting = pool.submit(busy.call, "wait", {})
        for client in idle:  # more than there is room for: the one that has been idle for longest goes
            client.call("count", {})
        assert idle[0].call("count", {}) == {"calls": 31}
        release.set()
        assert waiting.result(20) == {"waited": True}
    for client in (busy, *idle):
        client.close()


SERVE_WITH_FEW_DESCRIPTORS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)
from eucentric_core.transport import PyroControlServer
server = PyroControlServer({"stop": lambda _: {"stop": "done"}}, host="127.0.0.1", port=0)
print(server.address[1], flush=True)
# Others than connections hold the rest.
kept = [open(sys.executable, "rb") for _ in range(int(sys.argv[2]))]
server.serve()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize(("allowed", "kept"), [(64, 0), (64, 35)], ids=["few descriptors", "none left"])
def test_a_newcomer_gets_in_where_descriptors_are_few(allowed: int, kept: int) -> None:
    command = [sys.executable, "-c", SERVE_WITH_FEW_DESCRIPTORS, str(allowed), str(kept)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with contextlib.ExitStack() as stack:
                for _ in range(200):
                    stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                client = PyroControlClient("127.0.0.1", port, timeout_s=10)
                assert client.call("stop", {}) == {"stop": "done"}
                client.close()
        finally:
            process.kill()


def test_whoever_does_not_read_their_answer_makes_room(start_control: StartControl) -> None:
    counter = Counter()
    methods = {"count": counter.count, "much": lambda _: {"text": "x" * (1 << 19)}}
    server = start_control(methods, limits=ControlLimits(connections=4, message_s=60))
    ask_for_much = message(INVOKE, CALL.replace(b"count", b"much"))
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            deaf = stack.enter_context(socket.create_connection(server.address))
            deaf.sendall(message(CONNECT, HELLO) + ask_for_much * 64)
        client = PyroControlClient(*server.address, timeout_s=5)
        while counter.calls == 0:  # until the deaf ones' methods are over; a method is never interrupted
            with contextlib.suppress(TransportError):
                client.call("count", {})
        client.close()


def hung_up(connection: socket.socket, dribble: bytes) -> bool:
    """Send the same bytes again and again until the other side ends it."""
    connection.settimeout(0.05)
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        try:
            connection.sendall(dribble)
            if connection.recv(100) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.mark.parametrize(
    "dribble", [b"P", b"\x16", message(CONNECT, HELLO)[:1]], ids=["text", "a TLS record", "a message"]
)
def test_dribbled_bytes_buy_no_time(
    start: tuple[StartControl, Callable[[PyroControlServer], PyroControlClient]], dribble: bytes
) -> None:
    serve, _ = start
    server = serve({}, limits=ControlLimits(handshake_s=0.3))
    with socket.create_connection(server.address) as connection:
        assert hung_up(connection, dribble)


def test_a_dribbled_request_buys_no_time_either(start_control: StartControl) -> None:
    server = start_control({}, limits=ControlLimits(message_s=0.3))
    with socket.create_connection(server.address) as connection:
        connection.sendall(message(CONNECT, HELLO))
        connection.recv(4096)
        connection.sendall(message(INVOKE, b" " * 1000)[:50])
        assert hung_up(connection, b" ")


@functools.cache
def compressed_bomb() -> bytes:
    """256 MiB in 256 kB."""
    squeeze = zlib.compressobj(9)
    return b"".join((*(squeeze.compress(b" " * (1 << 20)) for _ in range(256)), squeeze.flush()))


@contextlib.contextmanager
def memory_watched() -> Iterator[Callable[[], int]]:
    """How much more memory this process has had at any moment since, at a few hundred moments a second."""
    process = psutil.Process()
    before = most = process.memory_info().rss
    over = threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.003):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: most - before
    finally:
        over.set()
        watcher.join()


def malformed(rng: random.Random) -> dict[str, tuple[bytes, bytes]]:
    """What is sent first, and what after the handshake was answered: one of each kind."""
    hello, junk = message(CONNECT, HELLO), rng.randbytes(rng.randint(1, 2000))
    blob = marshal.dumps(("info", "control", "call"))
    annotation = struct.pack("!4sI", b"BLBI", len(blob)) + blob
    bomb = compressed_bomb()
    deep = b"[" * 100_000
    return {
        "random": (junk, b""),
        "header, then junk": (message(CONNECT, junk), b""),
        "4 GiB announced": (message(CONNECT, junk, length=0xFFFFFFFF), b""),
        "request of 4 GiB announced": (hello, message(INVOKE, junk, length=0xFFFFFFFF)),
        "just too long": (hello, message(INVOKE, junk, length=LIMIT_BYTES + 1)),
        "hello too long": (message(CONNECT, b" " * 4097), b""),
        "serpent": (message(CONNECT, HELLO, serializer=1), b""),
        "marshal": (
            message(CONNECT, marshal.dumps({"handshake": 1, "object": "control"}), serializer=2),
            b"",
        ),
        "msgpack": (message(CONNECT, b"\x81\xa6object\xa7control", serializer=4), b""),
        "unknown serializer": (message(CONNECT, HELLO, serializer=99), b""),
        "request in marshal": (
            hello,
            message(INVOKE, marshal.dumps(("control", "call", [], {})), serializer=2),
        ),
        "compressed bomb": (message(CONNECT, bomb, flags=COMPRESSED), b""),
        "compressed request": (hello, message(INVOKE, bomb, flags=COMPRESSED)),
        "annotations": (hello, message(INVOKE, CALL, annotations=annotation)),
        "blob": (hello, message(INVOKE, CALL, flags=KEEP_SERIALIZED, annotations=annotation)),
        "annotations of 4 GiB": (
            hello,
            message(INVOKE, CALL)[:16] + b"\xff" * 4 + message(INVOKE, CALL)[20:],
        ),
        "one-way": (hello, message(INVOKE, CALL, flags=ONEWAY)),
        "batch": (hello, message(INVOKE, CALL, flags=BATCH)),
        "result instead of request": (hello, message(5, CALL)),
        "ping": (hello, message(6, b"ping")),
        "request before the handshake": (message(INVOKE, CALL), b""),
        "second handshake": (hello, hello),
        "unknown object": (message(CONNECT, HELLO.replace(b"control", b"Pyro.Daemon")), b""),
        "daemon's own object": (hello, message(INVOKE, CALL.replace(b"control", b"Pyro.Daemon"))),
        "private method": (hello, message(INVOKE, CALL.replace(b'"call"', b'"__init__"'))),
        "attribute": (hello, message(INVOKE, CALL.replace(b'"call"', b'"__getattr__"'))),
        "deep hello": (message(CONNECT, deep[:4000]), b""),
        "deep request": (hello, message(INVOKE, deep)),
        "no JSON": (hello, message(INVOKE, junk)),
        "an object in disguise": (
            hello,
            message(INVOKE, CALL.replace(b'"{}"', b'{"__class__": "Pyro5.client.Proxy", "state": []}')),
        ),
        "other arguments": (hello, message(INVOKE, CALL.replace(b'"kwargs": {}', b'"kwargs": {"a": 1}'))),
        "cut short": (hello, message(INVOKE, CALL)[: rng.randint(1, 60)]),
        "old version": (hello[:4] + b"\0\1" + hello[6:], b""),
    }


def send(connection: socket.socket, first: bytes, second: bytes) -> None:
    connection.settimeout(20)
    with contextlib.suppress(OSError):  # hung up on in the middle
        connection.sendall(first)
        if second:
            connection.recv(4096)
            connection.sendall(second)
        if not isinstance(connection, ssl.SSLSocket):
            connection.shutdown(socket.SHUT_WR)
        connection.recv(4096)


def test_two_thousand_malformed_messages_do_nothing(
    start_control: StartControl, credentials: dict[str, TlsSettings | None]
) -> None:
    rng = random.Random(20261121)  # noqa: S311  (no secret)
    counter = Counter()
    methods = {"count": counter.count}
    plain = start_control(methods)
    secure = start_control(methods, credentials=credentials["tls server"])
    certified = credentials["tls client"]
    assert certified is not None
    context = client_context(certified)
    good = [
        PyroControlClient(*plain.address, timeout_s=5),
        PyroControlClient(*secure.address, timeout_s=5, credentials=certified),
    ]
    for client in good:
        client.call("count", {})
    malformed(rng)
    sent = 0
    with memory_watched() as grown_bytes, contextlib.ExitStack() as left_open:
        while sent < 2000:
            for first, second in malformed(rng).values():
                connection = socket.create_connection(plain.address, timeout=20)
                send(connection, first, second)
                if sent % 50 == 0:  # some stay, half closed
                    left_open.enter_context(connection)
                else:
                    connection.close()
                sent += 1
        for kind, (first, second) in malformed(rng).items():  # from somebody with a certificate
            with (
                socket.create_connection(secure.address, timeout=20) as raw,
                context.wrap_socket(raw, server_hostname="127.0.0.1") as connection,
            ):
                if kind != "cut short":  # would be waited for
                    send(connection, first, second)
        assert [client.call("count", {}) for client in good] == [{"calls": 3}, {"calls": 4}]
        assert grown_bytes() < 64 << 20
    for client in good:
        client.close()
