"""Frames per second from a driver's process to a subscriber's, beside what loopback TCP and Pyro5 do here.

Three processes, as at an instrument: one publishes, one serves, one subscribes. Each figure is the median of
several runs, and what it is compared with is measured in between, because a machine's speed drifts.
"""

from __future__ import annotations

import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
import zmq
from _harness import arguments, report
from stream_durable import durable_figures

from eucentric_core import FrameHeader, Optics, StagePosition, utc_now
from eucentric_core.transport import DataServer, StreamPublisher, StreamSubscriber, find_free_port

SIZES_PX = (512, 2048)
FRAME_POOL = 8
CREDIT = 16
RING_BYTES = 512 << 20
WARM_UP = 64
SOCKET_BUFFERS = (1 << 20, None)
"""Bytes per `sendall` and `recv_into`; None: a whole frame."""

_SPAWN = multiprocessing.get_context("spawn")


def frames_of(size_px: int) -> list[np.ndarray[Any, np.dtype[np.uint16]]]:
    """A few frames of counts, so that no run has them all in the processor's cache."""
    random = np.random.default_rng(size_px)
    return [random.integers(0, 4000, (size_px, size_px), dtype=np.uint16) for _ in range(FRAME_POOL)]


def header_of(size_px: int, sequence: int) -> FrameHeader:
    """A HAADF header."""
    return FrameHeader(
        instrument="bench",
        session="stream",
        stream="haadf",
        sequence=sequence,
        acquired_utc=utc_now(),
        acquired_monotonic_s=time.monotonic(),
        shape=(size_px, size_px),
        dtype="uint16",
        simulated=True,
        optics=Optics(
            high_tension_v=2e5,
            beam_current_a=3e-11,
            convergence_angle_rad=0.03,
            defocus_m=0.0,
            field_of_view_m=2e-8,
            dwell_time_s=1e-6,
        ),
        stage=StagePosition(),
        dose_e_per_a2=None,
    )


def touch(array: np.ndarray[Any, Any]) -> int:
    """Read a byte of each page: who gets a view without a copy has to find the data there, too."""
    return int(array.reshape(-1).view(np.uint8)[::4096].sum(dtype=np.int64))


def serve(said: Connection, data_port: int) -> None:
    """The data process."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    server = DataServer(
        host="127.0.0.1", port=data_port, ingest_endpoint="tcp://127.0.0.1:0", context=context
    )
    said.send(server.ingest_endpoint)
    server.serve()


def drive(said: Connection, ingest: str, size_px: int, ring_bytes: int) -> None:
    """The driver's process: publishes as many frames as it is asked for."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    publisher = StreamPublisher(ingest, context=context, ring_bytes=ring_bytes)
    frames = frames_of(size_px)
    said.send("ready")
    sequence = 0
    while (count := said.recv()) > 0:
        for _ in range(count):
            publisher.publish(header_of(size_px, sequence), frames[sequence % FRAME_POOL])
            sequence += 1
    publisher.close()
    context.term()


@contextmanager
def process(target: Callable[..., None], *details: Any) -> Iterator[Connection]:
    """A process of its own, and a pipe to it; ended with the block."""
    here, there = _SPAWN.Pipe()
    running: BaseProcess = _SPAWN.Process(target=target, args=(there, *details), daemon=True)
    running.start()
    try:
        yield here
    finally:
        here.close()
        running.join(timeout=0.2)
        running.kill()
        running.join()


class Channel:
    """Driver, data process and a subscriber in this process."""

    def __init__(self, size_px: int, driver: Connection, subscriber: StreamSubscriber) -> None:
        self._size_px = size_px
        self._driver = driver
        self._subscriber = subscriber
        self._expected = 0
        self.run(WARM_UP)

    def run(self, count: int) -> float:
        """Frames per second."""
        self._driver.send(count)
        began = 0.0
        for number in range(count):
            message = self._subscriber.receive(30)
            if message is None:
                raise SystemExit("a frame did not arrive within 30 s")
            if number == 0:
                began = time.perf_counter()
            frame = message.frame()
            touch(frame.array)
            self._subscriber.acknowledge()
            if frame.header.sequence != self._expected:
                raise SystemExit(f"frame {self._expected} was lost")
            self._expected += 1
        return (count - 1) / (time.perf_counter() - began)


@contextmanager
def channel(size_px: int, *, shared_memory: bool) -> Iterator[Channel]:
    """A running channel. Without shared memory the subscriber is as one on another machine is."""
    port = find_free_port()
    with process(serve, port) as served:
        ingest = served.recv()
        with (
            process(drive, ingest, size_px, RING_BYTES) as driver,
            StreamSubscriber(
                "127.0.0.1", port, mode="lossless", credit=CREDIT, shared_memory=shared_memory
            ) as subscriber,
        ):
            subscriber.wait_subscribed(20)
            driver.recv()
            yield Channel(size_px, driver, subscriber)
            driver.send(0)


def pour(said: Connection, port: int, size_px: int, chunk: int | None) -> None:
    """Send frames over a plain socket."""
    frames = [frame.data.cast("B") for frame in frames_of(size_px)]
    with socket.create_connection(("127.0.0.1", port)) as sock:
        said.send("ready")
        while (count := said.recv()) > 0:
            for number in range(count):
                frame = frames[number % FRAME_POOL]
                step = chunk or len(frame)
                for offset in range(0, len(frame), step):
                    sock.sendall(frame[offset : offset + step])


class Loopback:
    """A plain TCP connection from another process."""

    def __init__(self, size_px: int, sender: Connection, sock: socket.socket, chunk: int | None) -> None:
        self._sender = sender
        self._sock = sock
        self._chunk = chunk
        self._buffer = np.zeros((size_px, size_px), np.uint16)
        self.run(WARM_UP)

    def run(self, count: int) -> float:
        """Frames per second."""
        self._sender.send(count)
        view = self._buffer.data.cast("B")
        began = 0.0
        for number in range(count):
            filled = 0
            while filled < len(view):
                until = len(view) if self._chunk is None else min(filled + self._chunk, len(view))
                filled += self._sock.recv_into(view[filled:until])
            if number == 0:
                began = time.perf_counter()
            touch(self._buffer)
        return (count - 1) / (time.perf_counter() - began)


@contextmanager
def loopback(size_px: int, chunk: int | None) -> Iterator[Loopback]:
    """A running connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with process(pour, port, size_px, chunk) as sender:
            sock, _ = listener.accept()
            with sock:
                sender.recv()
                yield Loopback(size_px, sender, sock, chunk)
                sender.send(0)


def serve_images(said: Connection, size_px: int) -> None:
    """A Pyro5 server that returns images as most do: the bytes, by Pyro's own serializer."""
    import Pyro5.api

    frames = frames_of(size_px)

    class Camera:
        def __init__(self) -> None:
            self._number = 0

        @Pyro5.api.expose  # type: ignore[untyped-decorator]  # Pyro5 is untyped
        def image(self) -> bytes:
            self._number += 1
            return frames[self._number % FRAME_POOL].tobytes()

    daemon = Pyro5.api.Daemon(host="127.0.0.1")
    said.send(str(daemon.register(Camera())))
    daemon.requestLoop()


class PyroCamera:
    """Images asked for one by one."""

    def __init__(self, size_px: int, uri: str) -> None:
        import Pyro5.api

        self._size_px = size_px
        self._proxy = Pyro5.api.Proxy(uri)
        self.run(1)

    def run(self, count: int) -> float:
        """Frames per second."""
        import serpent

        began = time.perf_counter()
        for _ in range(count):
            image = serpent.tobytes(self._proxy.image())
            touch(np.frombuffer(image, np.uint16).reshape(self._size_px, self._size_px))
        return count / (time.perf_counter() - began)


def megabytes_per_s(size_px: int, frames_per_s: float) -> float:
    """Of the arrays alone."""
    return frames_per_s * size_px**2 * 2 / 1e6


def measure(size_px: int, *, quick: bool) -> dict[str, float]:
    """Frames per second of each way, in turns."""
    frames = (400 if quick else 1500) if size_px <= 512 else (60 if quick else 250)
    images = 2 if quick else 5
    rounds = 3 if quick else 7
    with (
        channel(size_px, shared_memory=True) as local,
        channel(size_px, shared_memory=False) as over_tcp,
        loopback(size_px, SOCKET_BUFFERS[0]) as in_parts,
        loopback(size_px, SOCKET_BUFFERS[1]) as whole,
        process(serve_images, size_px) as camera,
    ):
        pyro = PyroCamera(size_px, camera.recv())
        ways: dict[str, Channel | Loopback] = {
            "subscriber": local,
            "subscriber_tcp": over_tcp,
            "tcp_1mib": in_parts,
            "tcp_frame": whole,
        }
        runs: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                runs[name].append(way.run(frames))
        medians = {name: statistics.median(found) for name, found in runs.items()}
        medians["pyro"] = statistics.median(pyro.run(images) for _ in range(3))
    medians["loopback"] = max(medians["tcp_1mib"], medians["tcp_frame"])
    return medians


def main() -> None:
    """Measure and report."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", choices=("subscriber", "durable"), help="measure one part of it")
    options = parser.parse_args()
    figures = {} if options.only == "durable" else subscriber_figures(quick=options.quick)
    if options.only != "subscriber":
        figures.update(durable_figures(quick=options.quick))
    report(figures, as_json=options.json, packages=("pyzmq", "Pyro5"))


def subscriber_figures(*, quick: bool) -> dict[str, Any]:
    """What a subscriber gets, of both sizes of frames."""
    sizes = {size_px: measure(size_px, quick=quick) for size_px in SIZES_PX}

    def ratio(of: str, to: str) -> dict[str, float]:
        return {f"{size_px}px": round(found[of] / found[to], 3) for size_px, found in sizes.items()}

    by_size = {
        "subscriber_fraction_of_loopback": ratio("subscriber", "loopback"),
        "subscriber_tcp_fraction_of_loopback": ratio("subscriber_tcp", "loopback"),
        "speedup_vs_pyro": ratio("subscriber", "pyro"),
    }
    # The ratios by themselves are those of the larger frame, where bytes cost more than messages.
    return {
        **{name: found[f"{SIZES_PX[-1]}px"] for name, found in by_size.items()},
        "by_size": by_size,
        "frames_per_s": {
            f"{size_px}px": {name: round(value, 1) for name, value in found.items()}
            for size_px, found in sizes.items()
        },
        "mb_per_s": {
            f"{size_px}px": {name: round(megabytes_per_s(size_px, value), 1) for name, value in found.items()}
            for size_px, found in sizes.items()
        },
    }


if __name__ == "__main__":
    main()
