"""The typed client: steer an instrument from anywhere with the same verbs a driver has."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self, TypeVar, cast
from uuid import uuid4

from pydantic import JsonValue, ValidationError
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    stop_all,
    wait_random_exponential,
)

from ._errors import CommandRefusedError, EucentricError, LeaseError, ServiceUnavailableError, TransportError
from ._frame import Frame
from ._frame_fetch import FrameFetch
from ._instrument import Capabilities
from ._lease import HANDED_OVER, CommandEnvelope, LeaseGrant, LeaseStatus
from ._lease_hold import LeaseHold
from ._microscope import Microscope
from ._model import FrozenModel
from ._settings import TlsSettings
from ._trace import current_trace_id
from ._units import lower_first
from .transport import ControlClient, DataAccess, PyroControlClient, StreamSubscriber, SubscriptionMode
from .vocabulary import (
    CameraAcquire,
    Command,
    CommandResult,
    FrameReference,
    ScanAcquire,
    SpectrumAcquire,
)

__all__ = ["SteeringClient", "connect", "control_connections"]

_log = logging.getLogger(__name__)

_GUARD_TIMEOUT_S = 4.0
_LEASE_TIMEOUT_S = 1.5
_GIVE_UP = stop_all(stop_after_attempt(4), stop_after_delay(8.0))
"""A lost answer is asked for again for nearly as long as a lease lasts, and after a time-out as well."""

_Answer = TypeVar("_Answer", bound=FrozenModel)


class SteeringClient(Microscope):
    """An instrument seen through its agent.

    Observing needs nothing; steering needs the lease, taken by `with scope.control(reason=...)`. Commands,
    safe stop, the lease's signs of life and what only observes each have a connection of their own, so
    that none waits behind another. After a broken link the client reconnects by itself and goes on with its
    lease while that lasts; a command whose answer was lost is asked for again under the same key, which
    the agent carries out once.

    Args:
        connect: opens one more connection with a time-out (s).
        client: who is asking, for the audit log.
        timeout_s: longest wait for one answer before it is asked for again.
        frames: fetches the frames that a scan produced; None: this client cannot.
    """

    def __init__(
        self,
        connect: Callable[[float], ControlClient],
        *,
        client: str,
        timeout_s: float = 30.0,
        frames: FrameFetch | None = None,
    ) -> None:
        self._client = client
        self._frames = frames
        self._hold: LeaseHold | None = None
        self._lost: EucentricError | None = None
        self._closed = False
        self._connections = ExitStack()
        self._control = self._open(connect, timeout_s)
        self._guard = self._open(connect, _GUARD_TIMEOUT_S)
        self._observer = self._open(connect, timeout_s)
        self._presence = self._open(connect, _LEASE_TIMEOUT_S)
        try:
            self.capabilities = _parse(Capabilities, self._control.call("describe", {}))
        except EucentricError:
            self.close()
            raise

    def execute(self, command: Command) -> CommandResult:
        """Carry out one command at the agent.

        Raises:
            LeaseError: the command steers and this client holds no lease, or has lost it.
            TransportError: no answer, also when asked again; it is unknown whether the command ran.
            EucentricError: the agent or the instrument refused or failed.
        """
        self._require_open()
        hold = self._hold
        if self.lease_lost is not None and command.command_class != "observe":
            raise self.lease_lost
        envelope = CommandEnvelope(
            command=command,
            client=self._client,
            idempotency_key=uuid4().hex,
            lease_epoch=None if hold is None else hold.epoch,
            trace_id=current_trace_id(),
        )
        payload = envelope.model_dump(mode="json")
        connection = self._connection_for(command)
        observing = command.command_class == "observe" and not command.urgent
        for attempt in Retrying(
            retry=retry_if_exception(_answer_is_missing),
            stop=stop_after_attempt(1) if observing else _GIVE_UP,
            wait=wait_random_exponential(multiplier=0.1, max=1.0),
            reraise=True,
        ):
            with attempt:
                answer = connection.call("execute", payload)
        return _parse(command.result_type, answer)

    def acquire(
        self, command: ScanAcquire | CameraAcquire | SpectrumAcquire, *, stream: str | None = None
    ) -> Frame:
        """Acquire one frame and wait for its array.

        Args:
            command: what to acquire.
            stream: another stream of the same acquisition, such as `truth` of a simulated instrument.

        Raises:
            TransportError: the frame did not arrive in time; it may have been recorded all the same.
            EucentricError: the instrument refused or failed.
        """
        frames = self._require_frames()
        with frames.subscribed() as subscription:
            reference = cast(FrameReference, self.execute(command))
            return frames.wait_for(subscription, reference, stream=stream)

    def subscribe(
        self, streams: Sequence[str] = (), *, mode: SubscriptionMode = "newest"
    ) -> StreamSubscriber:
        """Frames and events as they come, with this client's own keys. A context manager; close it.

        Args:
            streams: names of the wanted streams; none means all.
            mode: `newest` skips what comes too fast, `lossless` slows the source down instead.

        Raises:
            ServiceUnavailableError: this client does not know where the data channel is.
        """
        return self._require_frames().subscribe(streams, mode)

    def _require_frames(self) -> FrameFetch:
        self._require_open()
        if self._frames is None:
            raise ServiceUnavailableError(
                "This client was not told where the agent's data channel is.",
                safe="nothing was scanned.",
                next_step="connect with data_port=..., or by the instrument's name in the settings.",
            )
        return self._frames

    def scan(
        self, *, height_px: int = 512, width_px: int = 512, dwell_time_s: float = 1e-6, stream: str = "haadf"
    ) -> Frame:
        """Scan one frame and wait for its array; see `acquire`."""
        command = ScanAcquire(height_px=height_px, width_px=width_px, dwell_time_s=dwell_time_s)
        return self.acquire(command, stream=stream)

    def safe_stop(self) -> None:
        """Blank the beam, stop scanning and halt the stage, now. Anyone may; no lease is needed."""
        self._require_open()
        self._guard.call("safe_stop", {"client": self._client})

    def lease(self) -> LeaseStatus:
        """Who steers at present."""
        self._require_open()
        return _parse(LeaseStatus, self._observer.call("lease.status", {}))

    def interlocks(self) -> dict[str, JsonValue]:
        """The limits in force (`limits`), those of the agent's file, what was spent, and what tripped."""
        self._require_open()
        return self._observer.call("interlocks.show", {})

    def tighten_interlocks(self, limits: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Make limits stricter until the agent starts again; returns what `interlocks` returns.

        Args:
            limits: sections and names as in the file, such as `{"beam": {"max_unblank_s": 5.0}}`.

        Raises:
            CommandRefusedError: a name is unknown, or a limit would become wider; nothing was changed.
        """
        self._require_open()
        return self._guard.call("interlocks.tighten", {"client": self._client, "limits": limits})

    @property
    def lease_lost(self) -> EucentricError | None:
        """Why this client has lost the lease it held last, if it has."""
        return self._lost if self._hold is None else self._hold.lost

    @property
    def lease_remaining_s(self) -> float | None:
        """How long the lease lasts if the link dies now; None without a lease."""
        return None if self._hold is None else self._hold.remaining_s

    def offer_lease(self, to: str) -> LeaseStatus:
        """Offer the lease that this client holds to someone, who gets it by asking for it (hand-over).

        Raises:
            LeaseError: this client does not hold the lease.
        """
        # Another process of the same person may hold it: the agent decides whose it is, not this object.
        epoch = self.lease().epoch if self._hold is None else self._hold.epoch
        if epoch < 1:
            raise LeaseError(
                "Nobody has held the lease yet.",
                safe="nothing was changed.",
                next_step="take it first, then offer it.",
            )
        answer = self._guard.call("lease.hand_over", {"client": self._client, "epoch": epoch, "to": to})
        return _parse(LeaseStatus, answer)

    @contextmanager
    def control(self, *, reason: str, take_over: bool = False) -> Iterator[Self]:
        """Hold the lease, kept alive in the background, and release it at the end.

        When the body ends normally the instrument stays as it is: a scan goes on. When an exception ends
        it, Ctrl-C too, the instrument is made safe before the lease is released.

        Args:
            reason: for the audit log and for whoever waits.
            take_over: take it from a holder of a lower role; the instrument is made safe first.

        Raises:
            LeaseError: someone else holds it; or, at the end, it was lost on the way and the instrument
                is in its safe state. A lease that was handed over is not lost.
        """
        self._require_open()
        wish: dict[str, JsonValue] = {"client": self._client, "reason": reason}
        if take_over:
            wish["take_over"] = True
        grant = _parse(LeaseGrant, self._guard.call("lease.request", wish))
        self._lost = None
        hold = LeaseHold(self._presence, grant, client=self._client, notify=self.notice)
        self._hold = hold
        try:
            yield self
        except BaseException as error:
            if isinstance(error, LeaseError):
                hold.confirm()
            self._abandon(hold, error)
            raise
        finally:
            hold.end()
            self._hold = None
            self._lost = hold.lost
        if hold.lost is not None and HANDED_OVER not in hold.lost.details:
            raise hold.lost

    def notice(self, text: str) -> None:
        """What the agent did on its own while this client held the lease; a subclass may show it."""
        _log.warning("%s: %s", self.capabilities.instrument, text)

    def close(self) -> None:
        """Close all connections. A lease that is still held is given back, with the instrument made safe."""
        hold = self._hold
        if hold is not None and not self._closed:
            self._abandon(hold, None)
            hold.end()
        self._closed = True
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, connect: Callable[[float], ControlClient], timeout_s: float) -> ControlClient:
        connection = connect(timeout_s)
        self._connections.callback(connection.close)
        return connection

    def _abandon(self, hold: LeaseHold, error: BaseException | None) -> None:
        """Make the instrument safe for someone who no longer looks after it."""
        # Without the lease it is somebody else's, or the agent has made it safe already.
        if self._closed or hold.lost is not None:
            return
        try:
            self.safe_stop()
        except EucentricError as failure:
            _log.error("the instrument was not made safe, the agent's own limits act: %s", failure)
            if error is not None:
                error.add_note(f"The instrument was not made safe: {failure}")

    def _require_open(self) -> None:
        if self._closed:
            raise CommandRefusedError(
                "This scope is closed.", safe="nothing was sent.", next_step="connect again, and use that."
            )

    def _connection_for(self, command: Command) -> ControlClient:
        if command.urgent:
            return self._guard
        return self._observer if command.command_class == "observe" else self._control


def _answer_is_missing(error: BaseException) -> bool:
    return isinstance(error, TransportError) and not error.reported


def _parse(kind: type[_Answer], answer: dict[str, JsonValue]) -> _Answer:
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        raise TransportError(
            f"The agent's answer is no {kind.__name__}: {lower_first(error.errors()[0]['msg'])}.",
            safe="unknown whether the command ran; the agent's watchdog guards beam and stage.",
            next_step="check that client and agent run compatible versions.",
        ) from error


def connect(
    host: str,
    control_port: int,
    *,
    client: str,
    timeout_s: float = 30.0,
    data_port: int | None = None,
    credentials: TlsSettings | None = None,
    token: str | None = None,
) -> SteeringClient:
    """Connect to an agent. Connecting moves nothing.

    Args:
        host: of the agent.
        control_port: of the agent.
        client: who is asking.
        timeout_s: longest wait for one answer.
        data_port: of the agent, to have the frames of `scan`.
        credentials: certificate and key, where the agent speaks mutual TLS.
        token: of the agent's local console.

    Raises:
        ServiceUnavailableError: nobody answers there.
        NotAuthorisedError: the agent does not accept the certificate.
    """
    connections = control_connections(host, control_port, credentials=credentials, token=token)
    access = DataAccess(connections, client=client) if credentials or token else None
    return SteeringClient(
        connections,
        client=client,
        timeout_s=timeout_s,
        frames=None if data_port is None else FrameFetch(host, data_port, access=access),
    )


def control_connections(
    host: str, control_port: int, *, credentials: TlsSettings | None = None, token: str | None = None
) -> Callable[[float], ControlClient]:
    """What opens a connection to a service, given its time-out (s)."""

    def open_connection(timeout_s: float) -> ControlClient:
        return PyroControlClient(
            host, control_port, timeout_s=timeout_s, credentials=credentials, token=token
        )

    return open_connection
