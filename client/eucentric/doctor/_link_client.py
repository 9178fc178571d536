"""The near end of a link's measurement: fills the link in several ways and times round trips meanwhile."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from pydantic import ValidationError

from eucentric_core import (
    ConfigurationError,
    EucentricError,
    FrozenModel,
    LinkSettings,
    ServiceUnavailableError,
    TransportError,
)
from eucentric_core.transport import UNPACED, Pacer, kernel_pace, mark_bulk, mark_control, open_pacer

from ._link_advice import LinkFigures, RoundTrips
from ._link_protocol import PROBE_BYTES, Answer, Echo, Fill, Hello, Sink, read_line, say

__all__ = ["LinkClient"]

_STREAMS = 4
_BLOCK_BYTES = 1 << 18
_TIMEOUT_S = 10.0
_PERIOD_S = 0.01
_FRAME_OVERHEAD_BYTES = 66
_ETHERNET_PAYLOAD_BYTES = 1448
_FEWEST = 20


class LinkClient:
    """Measures the link to a host on which `eucentric doctor --serve-link` runs.

    Sends and receives bytes without meaning, at full speed for some seconds: not while somebody works.

    Args:
        host: the far end.
        port: of its measuring service.
        case_s: how long each case takes.
        fraction: of the line rate, for the case that is held back.
        say: told what is being done.

    Raises:
        ConfigurationError: no machine has this name.
        ServiceUnavailableError: nobody answers there.
        TransportError: the far end refused or broke off.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        case_s: float = 3.0,
        fraction: float = 0.93,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._address = (host, port)
        self._case_s = case_s
        self._fraction = fraction
        self._tell = say
        self._session = ""

    def measure(self) -> LinkFigures:
        """Everything, one case after the other."""
        with self._connection(Hello()) as (_, answer):
            self._session = answer.session
            self._tell("round trips over the idle link")
            idle = self._round_trips()
            self._tell("round trips while data fill the link")
            unpaced, up_bit_s, segment_bytes = self._under_load(UNPACED)
            line_bit_s = up_bit_s * (segment_bytes + _FRAME_OVERHEAD_BYTES) / segment_bytes
            self._tell("the same with control and data marked")
            marked, _, _ = self._under_load(UNPACED, marked=True)
            self._tell(f"the same with data held at {self._fraction:.0%} of the rate")
            link = LinkSettings(
                mode="fixed", line_rate_bit_s=min(max(line_bit_s, 1e5), 1e12), fraction=self._fraction
            )
            paced, paced_bit_s, _ = self._under_load(open_pacer(link))
            self._tell("the rate of data from there")
            down_bit_s = self._download()
        return LinkFigures(
            far_end=self._address[0],
            line_rate_bit_s=line_bit_s,
            rate_up_bit_s=up_bit_s,
            rate_down_bit_s=down_bit_s,
            rate_paced_bit_s=paced_bit_s,
            fraction=self._fraction,
            idle=idle,
            unpaced=unpaced,
            marked=marked,
            paced=paced,
        )

    @contextmanager
    def _connection(
        self, request: FrozenModel, *, prepare: Callable[[socket.socket], object] = lambda _: None
    ) -> Iterator[tuple[socket.socket, Answer]]:
        try:
            sock = socket.create_connection(self._address, _TIMEOUT_S)
        except (socket.gaierror, UnicodeError) as error:
            raise ConfigurationError(
                f"No machine is known by the name {self._address[0]!r}.",
                safe="nothing was sent.",
                next_step="check its spelling, or give its IP address.",
            ) from error
        except OSError as error:
            raise ServiceUnavailableError(
                f"Nobody measures a link at {self._address[0]}:{self._address[1]}.",
                safe="nothing was sent.",
                next_step="run `eucentric doctor --serve-link --host ADDRESS` there, and let it through.",
            ) from error
        with sock:
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                prepare(sock)
                say(sock, request)
                yield sock, self._answer(sock)
            except OSError as error:
                raise TransportError(
                    f"The measurement of the link to {self._address[0]} broke off: {error}.",
                    safe="nothing was changed on either side.",
                    next_step="measure again.",
                ) from error

    def _answer(self, sock: socket.socket) -> Answer:
        line = read_line(sock, timeout_s=_TIMEOUT_S + self._case_s)
        try:
            answer = Answer.model_validate_json(line)
        except ValidationError as error:
            raise TransportError(
                "The other end answered something else than the measurement of a link.",
                safe="nothing was changed on either side.",
                next_step="use the same version of eucentric at both ends.",
            ) from error
        if answer.problem:
            raise TransportError(
                f"The far end does not measure: {answer.problem}",
                safe="nothing was changed on either side.",
                next_step="try again in a minute.",
            )
        return answer

    def _round_trips(self, *, marked: bool = False) -> RoundTrips:
        samples: list[float] = []
        probe = bytes(PROBE_BYTES)
        request = Echo(session=self._session, control=marked)
        with self._connection(request, prepare=mark_control if marked else lambda _: None) as (sock, _):
            sock.settimeout(_TIMEOUT_S)
            end_s = time.perf_counter() + self._case_s
            while (began_s := time.perf_counter()) < end_s or len(samples) < _FEWEST:
                sock.sendall(probe)
                if len(sock.recv(PROBE_BYTES, socket.MSG_WAITALL)) < PROBE_BYTES:
                    raise ConnectionError("the far end has hung up")
                samples.append(time.perf_counter() - began_s)
                time.sleep(max(0.0, _PERIOD_S - samples[-1]))
        samples.sort()
        return RoundTrips(
            count=len(samples),
            p50_s=_quantile(samples, 0.5),
            p90_s=_quantile(samples, 0.9),
            p99_s=_quantile(samples, 0.99),
        )

    def _under_load(self, pacer: Pacer, *, marked: bool = False) -> tuple[RoundTrips, float, int]:
        """Round trips under load, its rate (bit/s), and how many bytes a packet carries."""
        settle_s = min(2.0, self._case_s / 2)
        flow = _Flow(self, pacer, marked=marked, duration_s=settle_s + self._case_s + 1.0)
        with flow:
            time.sleep(settle_s)
            round_trips = self._round_trips(marked=marked)
        return round_trips, flow.rate_bit_s, flow.segment_bytes

    def _download(self) -> float:
        counted, end_s = 0, time.perf_counter() + self._case_s
        half_s = end_s - self._case_s / 2
        last_s = half_s
        block = bytearray(_BLOCK_BYTES)
        with self._connection(Fill(session=self._session, duration_s=self._case_s + 1.0)) as (sock, _):
            sock.settimeout(_TIMEOUT_S)
            while (now_s := time.perf_counter()) < end_s and (count := sock.recv_into(block)):
                if now_s >= half_s:
                    counted, last_s = counted + count, time.perf_counter()
        return counted * 8 / (last_s - half_s) if last_s > half_s else 0.0


class _Flow:
    """Bulk data towards the far end over several connections, while the block runs."""

    def __init__(self, client: LinkClient, pacer: Pacer, *, marked: bool, duration_s: float) -> None:
        self._client, self._pacer, self._marked, self._duration_s = client, pacer, marked, duration_s
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._problem: EucentricError | None = None
        self._rates: list[float] = []
        self.segment_bytes = _ETHERNET_PAYLOAD_BYTES
        self._threads = [threading.Thread(target=self._send, name="link fill") for _ in range(_STREAMS)]
        self._stack = ExitStack()

    @property
    def rate_bit_s(self) -> float:
        """Of all connections together, as the far end counted."""
        return math.fsum(self._rates)

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None:
            self._stopping.set()
        for thread in self._threads:
            thread.join()
        if error is None and self._problem is not None:
            raise self._problem

    def _send(self) -> None:
        request = Sink(session=self._client._session, duration_s=self._duration_s)
        try:
            with self._client._connection(request, prepare=self._prepare) as (sock, _):
                self._fill(sock)
                sock.shutdown(socket.SHUT_WR)
                counted = self._client._answer(sock)
        except EucentricError as error:
            with self._lock:
                self._problem = error
            return
        with self._lock:
            if counted.counted_s > 0:
                self._rates.append(counted.bytes_counted * 8 / counted.counted_s)

    def _prepare(self, sock: socket.socket) -> None:
        if self._marked:
            mark_bulk(sock)
        if hasattr(socket, "TCP_MAXSEG"):
            with suppress(OSError):
                self.segment_bytes = (
                    sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) or self.segment_bytes
                )
        if self._pacer.rate_bytes_s is not None:
            kernel_pace(sock, self._pacer.rate_bytes_s * 1.05)

    def _fill(self, sock: socket.socket) -> None:
        block = bytes(_BLOCK_BYTES)
        end_s = time.monotonic() + self._duration_s
        while time.monotonic() < end_s and not self._stopping.is_set():
            piece = self._pacer.piece_bytes
            self._pacer.take(piece, self._stopping)
            sock.sendall(block[:piece])


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[math.ceil(share * len(ordered)) - 1]
