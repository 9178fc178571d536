"""The interlocks of one instrument: asked before every command, and again and again while the beam is on."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field as Bounded
from pydantic import JsonValue

from eucentric_core import Capabilities, FrozenModel
from eucentric_core.vocabulary import Command, InstrumentState

from ._admission import find_on_admission, lets_beam_on
from ._book import SAVE_EVERY_S, DoseBook
from ._detector import find_on_beam, find_on_dwell, find_unknown_field
from ._dose import dose_e_per_a2, find_in_budget
from ._exposure import ExposureMeter, is_finite
from ._file import defaults_for, read_limits
from ._finding import Finding, InterlockTrip
from ._limits import Limits
from ._origin import origin_of
from ._rate import MoveRate
from ._stage import Place, commanded_axes, place_of, targets_of
from ._tightening import tightened

__all__ = ["InterlockStatus", "Interlocks"]

_EXPECTED_S = SAVE_EVERY_S + 3.0
"""What may pass unseen if the agent dies now: until the next save, and until the other watchdog blanks."""


class InterlockStatus(FrozenModel):
    """What has been spent where the stage stands, and whether limits are tighter than in the file."""

    session: str | None
    region_dose_e_per_a2: Annotated[float, Bounded(ge=0)]
    region_beam_on_s: Annotated[float, Bounded(ge=0)]
    session_dose_e_per_a2: Annotated[float, Bounded(ge=0)]
    session_beam_on_s: Annotated[float, Bounded(ge=0)]
    tightened: bool
    last_trip: InterlockTrip | None = None
    fault: str | None = None


class Interlocks:
    """Refuses what would pass a limit, and says when the instrument is about to. Any thread may call.

    Args:
        limits: the limits of the local file, see `read_limits`.
        capabilities: of the instrument.
        path: file of the dose ledger, whose folder exists; None forgets the doses at the end.
        from_file: whether there is a local file of limits.
        clock: monotonic seconds.

    Raises:
        ConfigurationError: the ledger is damaged, or another process holds it.
    """

    def __init__(
        self,
        limits: Limits,
        capabilities: Capabilities,
        *,
        path: Path | None,
        from_file: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._file_limits = limits
        self._own_limits = defaults_for(capabilities)
        self._from_file = from_file
        self._limits = limits
        self._instrument = capabilities.instrument
        self._book = DoseBook(path, limits.dose.region_size_m)
        self._meter = ExposureMeter()
        self._rate = MoveRate()
        self._here: InstrumentState | None = None
        self._commanded: tuple[Place, ...] = ()
        self._last_trip: InterlockTrip | None = None

    @classmethod
    def open(cls, limits: Path, capabilities: Capabilities, *, ledger: Path | None) -> Interlocks:
        """The interlocks of a file of limits, with their ledger; for the errors see `read_limits`."""
        found = read_limits(limits, capabilities)
        return cls(found, capabilities, path=ledger, from_file=limits.exists())

    def admit(self, command: Command, state: InstrumentState) -> None:
        """Let a command pass, or refuse it. Urgent commands and those that only observe always pass.

        Args:
            command: what is about to reach the driver.
            state: the instrument as it stands right before.

        Raises:
            InterlockError: the command would pass a limit; its details hold limit, value and unit.
        """
        if command.urgent or command.command_class == "observe":
            return
        with self._lock:
            now_s = self._clock()
            self._account(now_s, state)
            bases = self._bases(state)
            finding = find_on_admission(
                command, state, limits=self._limits, meter=self._meter, ledger=self._book.ledger, bases=bases
            )
            axes = commanded_axes(command)
            if finding is None and axes:
                finding = self._rate.find(self._limits.rate, now_s)
            if finding is None and lets_beam_on(command):
                finding = self._find_fault()
            if finding is not None:
                raise finding.refusal(
                    origin_of(finding, self._limits, file=self._file_limits, own=self._own_limits)
                )
            if axes:
                self._rate.note(now_s)
                # From the last one commanded: bases begin with the place that the stage reports.
                (target,) = targets_of(command, bases[-1:])
                self._commanded = (*self._commanded[-1:], target)
            self._meter.note(command, state)

    def observe(self, state: InstrumentState) -> InterlockTrip | None:
        """Count what the beam has done since the last call; to be called about twenty times a second.

        Returns:
            Why the instrument must be made safe now, before a limit is passed; None if it need not be.
        """
        with self._lock:
            self._account(self._clock(), state)
            if state.beam_blanked:
                return None
            finding = next(self._findings(state), None)
            if finding is None:
                return None
            self._last_trip = finding.trip()
            return self._last_trip

    def tighten(self, changes: Mapping[str, Any]) -> dict[str, JsonValue]:
        """Make limits tighter until the agent starts again; see `tightened`.

        Returns:
            The limits in force, as `show` gives them.

        Raises:
            CommandRefusedError: something is unknown, or would be wider; nothing has changed then.
        """
        with self._lock:
            self._limits = tightened(self._limits, changes)
            return self._limits.model_dump(mode="json")

    def show(self) -> dict[str, JsonValue]:
        """The limits in force, those of before any tightening, and what has been spent; plain JSON.

        `from_file` is false where there is no local file of limits.
        """
        with self._lock:
            return {
                "instrument": self._instrument,
                "limits": self._limits.model_dump(mode="json"),
                "from_file": self._from_file,
                "file": self._file_limits.model_dump(mode="json"),
                "spent": self._status().model_dump(mode="json"),
            }

    @property
    def state(self) -> InterlockStatus:
        """What has been spent so far."""
        with self._lock:
            return self._status()

    @property
    def watch_beam(self) -> bool:
        """Whether a limit on dose, beam time or detectors is set, which the watchdog has to look after."""
        with self._lock:
            detector = self._limits.detector.model_dump(exclude_none=True)
            return self._limits.dose.set or bool(detector)

    def close(self) -> None:
        """Write the ledger a last time and close it."""
        with self._lock:
            self._book.close()

    def _findings(self, state: InstrumentState) -> Iterator[Finding]:
        """What speaks against the beam's staying on."""
        if not is_finite(state):
            yield Finding(
                "state", "The instrument's state holds a value that is no number.", "look at the instrument."
            )
            return
        limits, dwell_s = self._limits, state.optics.dwell_time_s
        unknown = find_unknown_field(limits, state.optics.field_of_view_m)
        if unknown is not None:
            yield unknown
            return
        field, current_a = self._meter.outlook(state, limits.dose)
        found = [
            self._find_fault(),
            find_in_budget(
                limits.dose,
                self._book.ledger,
                field,
                current_a=current_a,
                dose_s=self._meter.ahead_s(state, limits.dose),
                beam_on_s=limits.dose.reaction_s,
            ),
            find_on_beam(limits.detector, current_a=current_a, field_of_view_m=field.width_m),
        ]
        if state.scanning and dwell_s is not None:
            found.append(find_on_dwell(limits.detector, current_a=current_a, dwell_time_s=dwell_s))
        yield from (finding for finding in found if finding is not None)

    def _find_fault(self) -> Finding | None:
        fault = self._book.fault
        if fault is None or not self._limits.dose.set:
            return None
        return Finding("dose.ledger", fault.what, fault.next_step)

    def _account(self, now_s: float, state: InstrumentState) -> None:
        exposure = self._meter.advance(now_s, state, self._limits.dose)
        expected = None
        if is_finite(state):
            self._here = state
        if not state.beam_blanked and self._here is not None:
            field, current_a = self._meter.outlook(self._here, self._limits.dose)
            dose = 0.0 if current_a is None else dose_e_per_a2(current_a, _EXPECTED_S, field)
            expected = field, dose, _EXPECTED_S
        self._book.record(now_s, state.session or "", exposure, expected, keep=self._limits.dose.set)

    def _bases(self, state: InstrumentState) -> tuple[Place, ...]:
        """Where the stage stands, then the positions it may have been commanded to last.

        The driver may have refused the last command after it was admitted here. The one before counts too,
        therefore, until the stage is nearer to the last.
        """
        here, recent = place_of(state.stage), self._commanded
        if len(recent) == 2 and _distance(here, recent[1]) <= _distance(here, recent[0]):
            recent = recent[1:]
        return (here, *recent)

    def _status(self) -> InterlockStatus:
        ledger, fault = self._book.ledger, self._book.fault
        dose, beam_on_s = 0.0, 0.0
        if self._here is not None:
            dose, beam_on_s = ledger.most_exposed(self._meter.field(self._here))
        return InterlockStatus(
            session=ledger.session or None,
            region_dose_e_per_a2=dose,
            region_beam_on_s=beam_on_s,
            session_dose_e_per_a2=ledger.mean_e_per_a2,
            session_beam_on_s=ledger.beam_on_s,
            tightened=self._limits != self._file_limits,
            last_trip=self._last_trip,
            fault=None if fault is None else fault.what,
        )


def _distance(one: Place, other: Place) -> float:
    """In metres, with a lever of a millimetre for the angles."""
    weights = (1.0, 1.0, 1.0, 1e-3, 1e-3)
    return math.hypot(*((a - b) * weight for a, b, weight in zip(one, other, weights, strict=True)))
