"""Safe stop: one click, never disabled, never behind anything else, and its outcome in words."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from pydantic import ValidationError

from eucentric_core import CommandEnvelope, EucentricError, TlsSettings, utc_now
from eucentric_core.transport import PyroControlClient
from eucentric_core.vocabulary import InstrumentState, StateGet

__all__ = ["DoubleEscape", "SafeStop", "StopOutcome"]

_TIMEOUT_S = 5.0
_DOUBLE_PRESS_S = 0.8
_SETTLE_S = 2.5
"""A scan that was told to stop ends with its frame or its line."""
_SETTLE_LOOK_S = 0.05

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StopOutcome:
    """What came of a safe stop, as it is shown to everybody who looks at the page."""

    at_utc: datetime
    confirmed: bool
    words: str


class SafeStop:
    """Asks the agent to blank the beam, stop the scan and halt the stage, and reads back whether it did.

    Every call has a connection of its own: it waits neither for a command nor for another click.

    Args:
        host: of the agent.
        control_port: of the agent.
        client: who stops, for the audit log.
        credentials: the dashboard's certificate, where the agent speaks mutual TLS.
    """

    def __init__(
        self, host: str, control_port: int, *, client: str, credentials: TlsSettings | None = None
    ) -> None:
        self._address = (host, control_port)
        self._credentials = credentials
        self._client = client
        self.last: StopOutcome | None = None

    def __call__(self, by: str | None = None) -> StopOutcome:
        """Stop now. Blocks for a few seconds at most; never raises for what the agent answers.

        Args:
            by: who pressed, for the audit log.
        """
        client = self._client if by is None else by
        started_s = time.monotonic()
        control = PyroControlClient(*self._address, timeout_s=_TIMEOUT_S, credentials=self._credentials)
        try:
            control.call("safe_stop", {"client": client})
            took_s = time.monotonic() - started_s
            self.last = self._read_back(control, client, took_s)
        except EucentricError as error:
            self.last = StopOutcome(
                utc_now(),
                confirmed=False,
                words=f"SAFE STOP NOT CONFIRMED. {error.what} Use the microscope's own panel now.",
            )
        finally:
            control.close()
        _log.warning("safe stop by %s: %s", client, self.last.words)
        return self.last

    def _read_back(self, control: PyroControlClient, client: str, took_s: float) -> StopOutcome:
        try:
            state = _settled_state(control, client)
        except (EucentricError, ValidationError) as error:
            _log.warning("state not read back: %s", error)
            return StopOutcome(
                utc_now(),
                confirmed=True,
                words="The agent confirmed the safe stop; its state was not read back.",
            )
        if state.beam_blanked and not state.scanning:
            words = f"Safe stop done in {took_s * 1e3:.0f} ms: beam blanked, scan stopped, stage halted."
            return StopOutcome(utc_now(), confirmed=True, words=words)
        left = " and ".join(
            text
            for text, wrong in (
                ("the beam is not blanked", not state.beam_blanked),
                ("the scan still runs", state.scanning),
            )
            if wrong
        )
        return StopOutcome(
            utc_now(),
            confirmed=False,
            words=f"SAFE STOP NOT CONFIRMED: {left}. Use the microscope's own panel now.",
        )


def _settled_state(control: PyroControlClient, client: str) -> InstrumentState:
    """The state once beam and scan have ended, or what is left of them after a while."""
    deadline_s = time.monotonic() + _SETTLE_S
    while True:
        question = CommandEnvelope(command=StateGet(), client=client, idempotency_key=uuid4().hex)
        answer = control.call("execute", question.model_dump(mode="json"))
        state = InstrumentState.model_validate(answer)
        if (state.beam_blanked and not state.scanning) or time.monotonic() > deadline_s:
            return state
        time.sleep(_SETTLE_LOOK_S)


class DoubleEscape:
    """Tells when Escape was pressed twice within 0.8 s."""

    def __init__(self) -> None:
        self._last_s: float | None = None

    def press(self, *, now_s: float) -> bool:
        """One press of the key; True if it was the second."""
        second = self._last_s is not None and now_s - self._last_s <= _DOUBLE_PRESS_S
        self._last_s = None if second else now_s
        return second
