"""The agent's hold on its driver host: started, told that the agent is there, replaced when it is lost."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from eucentric_core import PRESENCE_S, Capabilities, EucentricError, ServiceUnavailableError, Settings

from ..._child import RestartBudget
from ._hosted import HostedDesk, HostedInstrument
from ._lines import HostLines, Line
from ._messages import Abandoned, Beat, MadeSafe, Open, Pulse
from ._service import DRIVER_SERVICE
from ._slots import HostSlots

__all__ = ["DriverHost"]

_POLL_S = 0.05
_RETRY_S = 1.0
_RARE_RETRY_S = 10.0
_PROMPT_ATTEMPTS = 5
_TOLD_WITHIN_S = 10.0
_FIRST_SAFE_S = 10.0
_SPARE_AFTER_S = 1.0
"""Until then the agent and the data process want the processor for themselves."""

_log = logging.getLogger(__name__)


class DriverHost:
    """The process that holds the driver, and the thread of the agent that watches over it.

    A host that has died, or leaves an urgent call unanswered for a second, is killed and replaced at
    once; the fresh one makes the instrument safe first. That goes on without end: a host that dies more
    often than its budget allows is still replaced, every ten seconds at most, but not steered. The
    callbacks run on the watching thread, `on_lost` on one of its own: nothing may hold the replacement up.

    Args:
        settings: effective settings; the host receives exactly these.
        ingest_port: loopback port of the data process, where the driver publishes.
        on_made_safe: told when the host made the instrument safe by itself, once for each time.
        on_lost: told why a host was given up.
        on_restored: told that a fresh one has made the instrument safe.
        restarts: how often a host may be lost and its successor be steered; five times in ten minutes.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        ingest_port: int,
        on_made_safe: Callable[[MadeSafe], None],
        on_lost: Callable[[str], None],
        on_restored: Callable[[], None],
        restarts: RestartBudget | None = None,
    ) -> None:
        self._on_made_safe = on_made_safe
        self._on_lost = on_lost
        self._on_restored = on_restored
        self._hosts = HostSlots(settings, ingest_port=ingest_port)
        self._restarts = restarts or RestartBudget("driver host", settings.logs / f"{DRIVER_SERVICE}.jsonl")
        self._attempted_s = -math.inf
        self._unsteerable: str | None = None
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._lines = HostLines(self._woken.set)
        self._capabilities: Capabilities | None = None
        self._session: str | None = None
        self._published: tuple[str | None, int] = (None, 0)
        self._link_whole = True
        self._seen = 0
        self._beat_due_s = math.inf
        self._spare_due_s = math.inf
        self._trouble: str | None = None
        self._thread = threading.Thread(target=self._watch, name="driver-host", daemon=True)
        self.instrument = HostedInstrument(self._lines, self._require_capabilities, self.stop)
        self.desk = HostedDesk(self._lines, self._follow_session)

    @property
    def trouble(self) -> str | None:
        """What is wrong with the instrument's process; None if nothing is."""
        return self._trouble or self._lines.lost or self._lines.refusal

    @property
    def pid(self) -> int | None:
        """Process id of the host."""
        return self._hosts.pid

    def launch(self) -> None:
        """Start the first host and return at once; see `open`, and `watch` after it.

        Raises:
            ServiceUnavailableError: it cannot be started.
        """
        self._hosts.launch()

    def open(self) -> None:
        """Wait until the driver is open.

        Raises:
            EucentricError: the host did not start, or the instrument cannot be opened; says why.
        """
        self._open(make_safe=False)

    def watch(self) -> None:
        """Watch over the host, and let it watch over the agent, from now on."""
        self._thread.start()

    def set_link(self, *, whole: bool) -> None:
        """Tell the driver's side whether the data process answers.

        Raises:
            InstrumentLostError: the host is lost; the next one will be told.
        """
        self._link_whole = whole
        self._lines.call(Line.URGENT, "link", {"whole": whole})

    def refuse_steering(self, why: str) -> None:
        """Let nothing steer any more; blanking, observing and the safe state go on."""
        self._lines.refuse_steering(why)

    def stop(self) -> None:
        """End the host in order: the instrument is made safe, the session closed, the driver closed."""
        self._stopping.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=_FIRST_SAFE_S)
        self._lines.mark_lost("the agent stops")
        self._hosts.stop()
        self._lines.close()

    def _open(self, *, make_safe: bool) -> None:
        self._hosts.connect(self._lines)
        self._seen = 0
        opened = self._lines.call(Line.OPENING, "open", Open(make_safe=make_safe).model_dump(mode="json"))
        self._capabilities = Capabilities.model_validate(opened)

    def _require_capabilities(self) -> Capabilities:
        if self._capabilities is None:
            raise ServiceUnavailableError(
                "The driver is not open yet.", safe="nothing was changed.", next_step="wait until it is."
            )
        return self._capabilities

    def _follow_session(self, session: str | None) -> None:
        self._session = session

    def _watch(self) -> None:
        self._beat_due_s = time.monotonic()
        self._spare_due_s = self._beat_due_s + _SPARE_AFTER_S
        while not self._stopping.is_set():
            try:
                self._look_after()
            except Exception:  # noqa: BLE001
                # A watch that dies of an error watches nothing: it says so and goes on.
                _log.exception("watching over the driver host failed; trying again")
            self._woken.wait(_POLL_S)
            self._woken.clear()

    def _look_after(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._beat_due_s:
            self._beat_due_s = now_s + PRESENCE_S
            try:
                self._beat()
            except EucentricError as error:
                _log.warning("no heartbeat: %s", error)
        if now_s >= self._spare_due_s:
            self._spare_due_s = math.inf
            self._hosts.launch_spare()
        lost = self._lines.lost if self._hosts.running else "the driver host has ended by itself"
        if lost is not None and not self._stopping.is_set():
            self._replace(lost)
            self._beat_due_s = time.monotonic()
        elif self._unsteerable and self._restarts.left:
            self._forgive()

    def _beat(self) -> MadeSafe | None:
        beat = Beat(seen=self._seen).model_dump(mode="json")
        pulse = Pulse.model_validate(self._lines.call(Line.HEARTBEAT, "heartbeat", beat))
        if pulse.published[0] is not None:
            self._published = pulse.published
        made_safe = pulse.made_safe
        if made_safe is not None and made_safe.number > self._seen:
            self._seen = made_safe.number
            _log.warning("the driver host has made the instrument safe: %s", made_safe.reason)
            self._on_made_safe(made_safe)
        return made_safe

    def _replace(self, why: str) -> None:
        self._lines.mark_lost(why)
        self._trouble = f"{why}; a fresh one is being started and makes the instrument safe first"
        _log.error("%s; it is replaced", why)
        began_s = time.monotonic()
        # What the callback writes may hang on a disk.
        telling = threading.Thread(target=self._on_lost, args=(why,), name="host-lost", daemon=True)
        telling.start()
        self._hosts.kill()
        self._lines.close()
        self._account()
        pause_s = self._attempted_s + _RARE_RETRY_S - began_s if self._unsteerable else 0.0
        attempts = 0
        while not self._stopping.wait(max(0.0, pause_s)):
            attempts += 1
            self._attempted_s = time.monotonic()
            try:
                self._hosts.swap()
                self._open(make_safe=True)
                self._await_safe()
            except Exception as error:  # noqa: BLE001
                # Whatever it is (a full disk, no process to be had): the instrument is not safe yet.
                what = error.what if isinstance(error, EucentricError) else f"{type(error).__name__}: {error}"
                self._lines.mark_lost(what)
                self._trouble = f"{why}, and could not be replaced yet: {what}"
                _log.exception("no fresh driver host")
                self._hosts.kill()
                self._lines.close()
                prompt = attempts < _PROMPT_ATTEMPTS and not self._unsteerable
                pause_s = _RETRY_S if prompt else _RARE_RETRY_S
            else:
                self._trouble = None
                _log.warning("a fresh driver host is there after %.2f s", time.monotonic() - began_s)
                telling.join(timeout=_TOLD_WITHIN_S)
                self._on_restored()
                self._spare_due_s = time.monotonic()
                return

    def _account(self) -> None:
        """Spend one restart; without any left, replace the host all the same and let nothing steer it."""
        try:
            self._restarts.spend()
        except ServiceUnavailableError as error:
            self._unsteerable = (
                f"{error.what.rstrip('.')}; each is replaced and makes the instrument safe, but steering is "
                "refused until one has lasted"
            )
            self._lines.refuse_steering(self._unsteerable)
            _log.error("steering is refused: %s", error)

    def _forgive(self) -> None:
        self._restarts.spend()
        if self._unsteerable is not None:
            self._lines.allow_steering(self._unsteerable)
        self._unsteerable = None
        _log.warning("the driver host has lasted; it may be steered again")

    def _await_safe(self) -> None:
        deadline_s = time.monotonic() + _FIRST_SAFE_S
        while self._beat() is None:
            if self._stopping.wait(_POLL_S) or time.monotonic() > deadline_s:
                raise ServiceUnavailableError(
                    "The fresh driver host could not make the instrument safe.",
                    safe="unknown; the agent goes on trying.",
                    next_step="make the instrument safe at the instrument itself.",
                )
        if not self._link_whole:
            self.set_link(whole=False)
        self._tell_abandoned()

    def _tell_abandoned(self) -> None:
        if self._session is None:
            return
        session, frames = self._published
        abandoned = Abandoned(session=self._session, frames=frames if session == self._session else 0)
        self._follow_session(None)
        try:
            self._lines.call(Line.OBSERVING, "session.abandoned", abandoned.model_dump(mode="json"))
        except EucentricError as error:
            # The recorder ends it when the next session starts.
            _log.error("the end of session %s was not announced: %s", abandoned.session, error)
