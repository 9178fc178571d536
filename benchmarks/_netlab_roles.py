"""The programs of `channels.py`, one for each machine of the lab: `python _netlab_roles.py ROLE JSON`.

Each begins at the first line on its standard input, says `ready` on a line of its own when others may begin,
and ends with one line of JSON or when its standard input is closed.
"""

from __future__ import annotations

import itertools
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
import zmq

from eucentric_core import FrameHeader, LinkSettings, Optics, StagePosition, TlsSettings, utc_now
from eucentric_core.transport import (
    DATA_OPEN,
    DataAccess,
    DataOpening,
    DataServer,
    KeyRing,
    PyroControlClient,
    PyroControlServer,
    RttProbe,
    StreamPublisher,
    StreamSubscriber,
    kernel_pace,
    mark_bulk,
    open_pacer,
)

_BLOCK_BYTES = 1 << 18
_WARM_UP_CALLS = 10

OPTICS = Optics(
    high_tension_v=60e3,
    beam_current_a=3e-11,
    convergence_angle_rad=0.03,
    defocus_m=0.0,
    field_of_view_m=2e-8,
    dwell_time_s=1e-6,
)

Options = dict[str, Any]


def say(what: object) -> None:
    """Print a line at once."""
    print(what if isinstance(what, str) else json.dumps(what), flush=True)


def until_told() -> None:
    """Wait until whoever started this closes its standard input."""
    sys.stdin.read()


def control_server(options: Options) -> None:
    """The control channel of an agent: mutual TLS, one method."""
    server = PyroControlServer(
        {"stage.get": lambda _: {"x_m": 1e-9, "y_m": 2e-9}},
        host=options["host"],
        port=options["port"],
        credentials=TlsSettings.model_validate(options["tls"]),
    )
    thread = threading.Thread(target=server.serve)
    thread.start()
    say("ready")
    until_told()
    server.stop()
    thread.join()


def control_client(options: Options) -> None:
    """Calls it over and over for as many seconds as each line on its standard input says.

    One call at a time, the next no sooner than `period_s` after the one before.
    """
    client = PyroControlClient(
        options["host"], options["port"], credentials=TlsSettings.model_validate(options["tls"]), timeout_s=20
    )
    client.call("stage.get", {})
    say("ready")
    for line in sys.stdin:
        for _ in range(_WARM_UP_CALLS):
            client.call("stage.get", {})
        say(_round_trips_ms(lambda: client.call("stage.get", {}), {**options, "duration_s": float(line)}))
    client.close()


def _round_trips_ms(call: Callable[[], object], options: Options) -> list[float]:
    samples: list[float] = []
    end_s = time.perf_counter() + options["duration_s"]
    while (began_s := time.perf_counter()) < end_s:
        call()
        done_s = time.perf_counter()
        samples.append((done_s - began_s) * 1e3)
        time.sleep(max(0.0, began_s + options["period_s"] - done_s))
    return samples


def bulk_sink(options: Options) -> None:
    """Receives bulk data; how many bytes came in between two lines on its standard input is its answer."""
    counted = 0

    def receive(sock: socket.socket) -> None:
        nonlocal counted
        block = bytearray(_BLOCK_BYTES)
        with sock:
            while count := sock.recv_into(block):
                counted += count

    with socket.create_server((options["host"], options["port"])) as listening:
        say("ready")
        for _ in range(options["streams"]):
            sock, _ = listening.accept()
            threading.Thread(target=receive, args=(sock,), daemon=True).start()
        _say_rate(lambda: counted)


def _say_rate(counted: Callable[[], int]) -> None:
    sys.stdin.readline()
    began_s, before = time.perf_counter(), counted()
    sys.stdin.readline()
    say({"bit_s": (counted() - before) * 8 / (time.perf_counter() - began_s)})


def bulk_source(options: Options) -> None:
    """Sends bulk data over a plain TCP connection, held back as the settings say; None for not at all."""
    block = bytes(_BLOCK_BYTES)
    address = (options["host"], options["port"])
    if options["link"] is None:
        with ExitStack() as stack:
            socks = [stack.enter_context(_ordinary(address)) for _ in range(options["streams"])]
            say("ready")
            threads = [threading.Thread(target=_send_for_ever, args=(sock, block)) for sock in socks]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return
    with socket.create_connection(address) as sock:
        say("ready")
        pacer = open_pacer(LinkSettings.model_validate(options["link"]))
        mark_bulk(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with RttProbe(pacer, options["host"], 9, interval_s=0.02):
            while True:
                piece = pacer.piece_bytes
                pacer.take(piece)
                rate = pacer.rate_bytes_s
                kernel_pace(sock, None if rate is None else rate * 1.05)
                sock.sendall(block[:piece])


def frame_source(options: Options) -> None:
    """A data server off loopback, as an agent's: frames as fast as it takes them, keys over mutual TLS."""
    link = LinkSettings.model_validate(options["link"])
    pacer, keys, context = open_pacer(link), KeyRing(), zmq.Context()
    server = DataServer(
        host=options["host"],
        port=options["port"],
        ingest_endpoint="inproc://frames",
        context=context,
        keys=keys,
        pacer=pacer,
    )

    def open_data(payload: dict[str, Any]) -> dict[str, Any]:
        keys.admit(payload["public_key"], payload["client"])
        return DataOpening(server_key=keys.server_key).model_dump()

    door = PyroControlServer(
        {DATA_OPEN: open_data},
        host=options["host"],
        port=options["door_port"],
        credentials=TlsSettings.model_validate(options["tls"]),
    )
    for serve in (server.serve, door.serve):
        threading.Thread(target=serve, daemon=True).start()
    publisher = StreamPublisher("inproc://frames", context=context)
    threading.Thread(target=_publish_for_ever, args=(publisher, options["side_px"]), daemon=True).start()
    say("ready")
    until_told()
    say(pacer.status().model_dump(mode="json"))


def _publish_for_ever(publisher: StreamPublisher, side_px: int) -> None:
    array = np.random.default_rng(1).integers(0, 4096, (side_px, side_px), dtype=np.uint16)
    for sequence in itertools.count():
        header = FrameHeader(
            instrument="bench",
            session="links",
            stream="haadf",
            sequence=sequence,
            acquired_utc=utc_now(),
            acquired_monotonic_s=time.monotonic(),
            shape=array.shape,
            dtype="uint16",
            simulated=True,
            optics=OPTICS,
            stage=StagePosition(),
            dose_e_per_a2=100.0,
        )
        publisher.publish(header, array)


def frame_sink(options: Options) -> None:
    """A recorder far away: every frame in order; how fast they came is its answer."""
    tls = TlsSettings.model_validate(options["tls"])

    def door(timeout_s: float) -> PyroControlClient:
        return PyroControlClient(options["host"], options["door_port"], timeout_s=timeout_s, credentials=tls)

    arrivals: list[tuple[float, int]] = []
    subscriber = StreamSubscriber(
        options["host"],
        options["port"],
        mode="lossless",
        credit=16,
        access=DataAccess(door, client="bench"),
    )

    def receive() -> None:
        while True:
            message = subscriber.receive(timeout_s=60)
            if message is not None:
                arrivals.append((time.perf_counter(), message.frame().array.nbytes))
                subscriber.acknowledge()

    threading.Thread(target=receive, daemon=True).start()
    while not arrivals:
        time.sleep(0.01)
    say("ready")
    sys.stdin.readline()
    first = len(arrivals) - 1
    sys.stdin.readline()
    seen = arrivals[first:]
    elapsed_s = seen[-1][0] - seen[0][0]
    say({"bit_s": sum(n_bytes for _, n_bytes in seen[1:]) * 8 / elapsed_s if elapsed_s else 0.0})


def _ordinary(address: tuple[str, int]) -> socket.socket:
    # What Windows and most Linux systems do, whatever this machine prefers.
    sock = socket.create_connection(address)
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    return sock


def _send_for_ever(sock: socket.socket, block: bytes) -> None:
    while True:
        sock.sendall(block)


def other_traffic(options: Options) -> None:
    """Another machine's transfer over the same link: TCP that would go at `bit_s`, and marks nothing."""
    block = bytes(_BLOCK_BYTES)
    with _ordinary((options["host"], options["port"])) as sock:
        kernel_pace(sock, options["bit_s"] / 8)
        say("ready")
        while True:
            sock.sendall(block)


def proxy_server(options: Options) -> None:
    """Stock Pyro5: frames and control through the same object."""
    import Pyro5.api

    Pyro5.config.SERIALIZER = "msgpack"
    frame = bytes(options["frame_bytes"])

    class Microscope:
        @Pyro5.api.expose  # type: ignore[untyped-decorator]
        def stage(self) -> dict[str, float]:
            return {"x_m": 1e-9, "y_m": 2e-9}

        @Pyro5.api.expose  # type: ignore[untyped-decorator]
        def image(self) -> bytes:
            return frame

    daemon = Pyro5.api.Daemon(host=options["host"], port=options["port"])
    daemon.register(Microscope(), "microscope")
    say("ready")
    daemon.requestLoop()


def proxy_client(options: Options) -> None:
    """One proxy behind a lock, as a script has it: one thread fetches images, another asks for the stage."""
    import Pyro5.api

    Pyro5.config.SERIALIZER = "msgpack"
    lock, stopping, fetched = threading.Lock(), threading.Event(), 0
    with Pyro5.api.Proxy(f"PYRO:microscope@{options['host']}:{options['port']}") as proxy:

        def call(name: str) -> Any:
            with lock:
                proxy._pyroClaimOwnership()
                return getattr(proxy, name)()

        def fetch() -> None:
            nonlocal fetched
            while not stopping.is_set():
                fetched += len(call("image"))
                time.sleep(0.001)

        call("stage")
        fetching = threading.Thread(target=fetch)
        fetching.start()
        say("ready")
        began_s = time.perf_counter()
        samples = _round_trips_ms(lambda: call("stage"), options)
        stopping.set()
        fetching.join()
        proxy._pyroClaimOwnership()
        say({"samples": samples, "bit_s": fetched * 8 / (time.perf_counter() - began_s)})


_ROLES: dict[str, Callable[[Options], None]] = {
    role.__name__: role
    for role in (
        bulk_sink,
        bulk_source,
        control_client,
        control_server,
        frame_sink,
        frame_source,
        other_traffic,
        proxy_client,
        proxy_server,
    )
}


if __name__ == "__main__":
    # What takes long, the imports, is behind; several of these were started together.
    sys.stdin.readline()
    _ROLES[sys.argv[1]](json.loads(sys.argv[2]))
