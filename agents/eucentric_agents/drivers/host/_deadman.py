"""The second watchdog: the agent has fallen silent, and the instrument is made safe without it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from eucentric_core import SILENCE_LIMIT_S, CommandRefusedError, utc_now

from ._messages import MadeSafe

__all__ = ["Deadman"]

_POLL_S = 0.05
_RETRY_S = 0.5
_REMEMBERED = 16

_log = logging.getLogger(__name__)


class Deadman:
    """Makes the instrument safe when no beat of the agent came for too long, or on demand.

    From then until the next beat nothing may steer: a command that was on its way when the agent stood
    still must not undo the safe state. One that was already running is followed: the instrument is
    made safe every half second while it goes on, and once more at its end. Silence counts from the first
    beat on.

    Args:
        make_safe: puts the instrument in its safe state; called from this object's own thread.
        limit_s: longest silence (s).
        clock: monotonic seconds.
    """

    def __init__(
        self,
        make_safe: Callable[[], None],
        *,
        limit_s: float = SILENCE_LIMIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_safe = make_safe
        self._limit_s = limit_s
        self._clock = clock
        self._lock = threading.Lock()
        self._last_beat_s: float | None = None
        self._tripped: str | None = None
        self._trips = 0
        self._running: list[int] = []
        self._again_s = 0.0
        self._owed_since_s: float | None = None
        self._made: deque[MadeSafe] = deque(maxlen=_REMEMBERED)
        self._numbered = 0
        self._wake = threading.Event()
        self._safe = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deadman", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout=1.0)

    def beat(self, seen: int) -> MadeSafe | None:
        """The agent is there, and has on record what was made safe up to number `seen`.

        Returns:
            The first that it has not.
        """
        with self._lock:
            self._last_beat_s = self._clock()
            if self._owed_since_s is None:
                self._tripped = None
            while self._made and self._made[0].number <= seen:
                self._made.popleft()
            return self._made[0] if self._made else None

    def demand(self, reason: str, *, within_s: float) -> bool:
        """Make the instrument safe for another reason than silence.

        Returns:
            Whether it is safe. If not yet, the deadman goes on trying.
        """
        with self._lock:
            self._trip(reason)
        return self._safe.wait(within_s)

    def insist(self, reason: str, *, stopping: threading.Event) -> None:
        """As `demand`, but return only when the instrument is safe, or `stopping` is set."""
        self.demand(reason, within_s=0)
        while not self._safe.wait(_POLL_S) and not stopping.is_set():
            pass

    def admit(self) -> int:
        """Pass a command that steers, and give the number that `settle` takes.

        Raises:
            CommandRefusedError: the agent is silent, or the instrument not safe yet.
        """
        with self._lock:
            if self._tripped is not None:
                raise CommandRefusedError(
                    f"Not carried out: {self._tripped}.",
                    safe="the driver host makes the instrument safe, and again until it is.",
                    next_step="read the state, then command anew.",
                )
            self._running.append(self._trips)
            return self._trips

    def settle(self, admitted: int) -> None:
        """A command has ended: if the instrument was made safe meanwhile, it has to be again."""
        with self._lock:
            self._running.remove(admitted)
            if self._trips != admitted:
                self._trip("a command ended after the instrument had been made safe")

    def _trip(self, reason: str) -> None:
        self._tripped = reason
        self._trips += 1
        if self._owed_since_s is None:
            self._owed_since_s = self._clock()
        self._safe.clear()
        self._wake.set()

    def _silent_s(self) -> float | None:
        return None if self._last_beat_s is None else self._clock() - self._last_beat_s

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(_POLL_S)
            self._wake.clear()
            with self._lock:
                silent_s = self._silent_s()
                if self._tripped is None and silent_s is not None and silent_s > self._limit_s:
                    self._trip(f"the agent has been silent for {silent_s:.1f} s")
                owed = self._owed_since_s is not None
                overtaken = any(admitted != self._trips for admitted in self._running)
                again = overtaken and self._clock() >= self._again_s
            if owed:
                self._pay()
            elif again:
                self._repeat()

    def _pay(self) -> None:
        attempts = 0
        while not self._stopping.is_set():
            with self._lock:
                trips = self._trips
            attempts += 1
            try:
                self._make_safe()
            except Exception:  # noqa: BLE001
                # Whatever the vendor's software raises: a watchdog that dies of it watches nothing.
                _log.exception("the instrument could not be made safe; trying again")
                self._stopping.wait(_RETRY_S)
                continue
            with self._lock:
                if self._trips == trips:
                    self._note(attempts, self._owed_since_s or self._clock())
                    return

    def _repeat(self) -> None:
        try:
            self._make_safe()
        except Exception:  # noqa: BLE001  (as above)
            _log.exception("the instrument could not be made safe again while a command goes on")
        self._again_s = self._clock() + _RETRY_S

    def _note(self, attempts: int, owed_since_s: float) -> None:
        now_s = self._clock()
        silent_s = self._silent_s()
        self._numbered += 1
        made = MadeSafe(
            number=self._numbered,
            reason=self._tripped or "",
            silent_s=silent_s if silent_s is not None and silent_s > self._limit_s else None,
            at_utc=utc_now(),
            monotonic_s=now_s,
            took_s=now_s - owed_since_s,
            attempts=attempts,
        )
        self._made.append(made)
        self._again_s = now_s + _RETRY_S
        self._owed_since_s = None
        self._safe.set()
        _log.warning("made safe: %s", made.reason, extra={"made_safe": made.model_dump(mode="json")})
