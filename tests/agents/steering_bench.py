"""An instrument with every verb behind the agent's real steering: it keeps what has reached it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from eucentric_agents.control import AuditLog, AuditRecord, Dispatcher, Identity, Interlocks, LeaseKeeper
from eucentric_agents.sessions import SessionDesk, SessionNames
from eucentric_core import Caller, Capabilities, CommandEnvelope, Event, Optics, Role, StagePosition
from eucentric_core.vocabulary import (
    COMMANDS,
    BeamBlank,
    BeamUnblank,
    Command,
    CommandResult,
    Done,
    FrameReference,
    InstrumentState,
    MoveReport,
    OpticsReport,
    ScanStream,
    StageMove,
    StreamReport,
    VectorReport,
)

OPTICS = Optics.model_validate(
    dict.fromkeys(Optics.model_fields) | {"field_of_view_m": 1e-8, "scan_rotation_rad": 0.0}
)


def someone(name: str, role: Role = Role.SCIENTIST, *, local: bool = False) -> Caller:
    """A caller with a certificate, or at the instrument's console."""
    return Caller(
        name=name, role=role, local=local, authenticated=True, address="192.0.2.7", fingerprint="ab" * 32
    )


class Bench:
    """An instrument that has every verb and obeys at once, unless a test tells it otherwise.

    `hold` names a verb that does not return before `go_on` is set, which the safe state does unless the
    instrument is `deaf`; `broken` is raised by the safe state, `unblankable` by `beam.blank`.

    Args:
        concurrent: whether the state is read while a command runs.
    """

    def __init__(self, *, concurrent: bool = True) -> None:
        self.capabilities = Capabilities(
            instrument="bench",
            model="bench",
            simulated=True,
            verbs=tuple(COMMANDS),
            streams=("haadf",),
            concurrent_verbs=("state.get", "stage.get") if concurrent else (),
        )
        self.received: list[Command] = []
        self.blanked, self.scanning = True, False
        self.x_m = 0.0
        self.made_safe = 0
        self.broken: Exception | None = None
        self.unblankable: Exception | None = None
        self.deaf = False
        self.hold: str | None = None
        self.held, self.go_on = threading.Event(), threading.Event()

    def execute(self, command: Command) -> CommandResult:
        """Carry out anything."""
        if command.command_class != "observe" or command.urgent:
            self.received.append(command)
        if command.verb == self.hold:
            self.held.set()
            assert self.go_on.wait(30)
        if isinstance(command, BeamBlank) and self.unblankable is not None:
            raise self.unblankable
        if isinstance(command, BeamBlank | BeamUnblank):
            self.blanked = isinstance(command, BeamBlank)
        if isinstance(command, ScanStream):
            self.scanning = True
        if isinstance(command, StageMove):
            self.x_m = command.x_m or 0.0
        return self._result(command.result_type)

    def _result(self, kind: type[CommandResult]) -> CommandResult:
        place = StagePosition(x_m=self.x_m)
        answers: dict[type[CommandResult], Callable[[], CommandResult]] = {
            Done: Done,
            InstrumentState: lambda: InstrumentState(
                session=None, scanning=self.scanning, beam_blanked=self.blanked, next_sequence=0, stage=place,
                optics=OPTICS, dose_e_per_a2=None, simulated=True,
            ),
            MoveReport: lambda: MoveReport(
                commanded=place, reported=place, actual=None, tolerance_m=1e-9, settle_time_s=0
            ),
            OpticsReport: lambda: OpticsReport(commanded=0, reported=0),
            VectorReport: lambda: VectorReport(commanded=(0, 0), reported=(0, 0)),
            FrameReference: lambda: FrameReference(
                instrument="bench", session="s", stream="haadf", sequence=0
            ),
            StreamReport: lambda: StreamReport(session="s", first_sequence=0),
        }  # fmt: skip
        return answers[kind]()

    def abort(self) -> None:
        """Stop scanning."""
        self.scanning = False

    def safe_state(self) -> None:
        """Blank and stop, or fail."""
        if self.broken is not None:
            raise self.broken
        self.made_safe += 1
        self.blanked, self.scanning = True, False
        if not self.deaf:
            self.go_on.set()

    def close(self) -> None:
        """Nothing to close."""


class Rig:
    """The bench behind a dispatcher with its files in a folder. A context manager.

    Args:
        folder: of lease, sessions and audit log; a second rig there is the agent after a restart.
        clock: monotonic seconds.
        interlocks: limits.
    """

    def __init__(
        self,
        folder: Path,
        *,
        bench: Bench | None = None,
        clock: Callable[[], float] = time.monotonic,
        interlocks: Interlocks | None = None,
    ) -> None:
        self.bench = bench or Bench()
        self.events: list[Event] = []
        self.log = folder / "audit.jsonl"
        self._audit = AuditLog(self.log)
        desk = SessionDesk(self.bench, SessionNames(folder / "sessions.txt"), self.events.append)
        self.dispatcher = Dispatcher(
            self.bench,
            desk,
            lease=LeaseKeeper(folder / "lease.json", clock=clock),
            audit=self._audit,
            announce=self.events.append,
            interlocks=interlocks,
            clock=clock,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bench.go_on.set()
        self.dispatcher.close()
        self._audit.close()

    def ask(
        self, caller: Caller, command: Command, epoch: int | None = None, *, key: str | None = None
    ) -> CommandResult:
        """Send one command past the wire."""
        return self.dispatcher.execute(envelope(caller, command, epoch, key=key), caller)

    def lease(self, caller: Caller, reason: str = "work", *, take_over: bool = False) -> int:
        """Have the lease; its epoch."""
        who = Identity(caller, caller.name)
        return self.dispatcher.leases.request(who, reason, take_over=take_over).epoch

    def beam_on(self) -> bool:
        """Whether the beam is on the specimen."""
        return not self.bench.blanked

    def records(self) -> list[AuditRecord]:
        """Everything on record so far."""
        return [AuditRecord.model_validate_json(line) for line in self.log.read_text().splitlines()]

    def told(self) -> list[tuple[str, str, str]]:
        """Who did what, and what came of it."""
        return [(record.who, record.action, record.outcome) for record in self.records()]


def envelope(
    caller: Caller, command: Command, epoch: int | None = None, *, key: str | None = None
) -> CommandEnvelope:
    """A command on its way from a caller."""
    return CommandEnvelope.model_validate(
        {
            "command": command,
            "client": caller.name,
            "idempotency_key": key or uuid4().hex,
            "lease_epoch": epoch,
        }
    )


def sample_command(verb: str) -> Command:
    """A valid command of any verb of the vocabulary, with as little in it as it takes."""
    fields: dict[str, object] = {
        "session": "s", "max_duration_s": 1.0, "y_fraction": 0.5, "x_fraction": 0.5, "defocus_m": 1e-9,
        "field_of_view_m": 1e-8, "rotation_rad": 0.1, "open": False, "camera": "ceta", "exposure_s": 0.1,
        "spectrometer": "eels",
    }  # fmt: skip
    kind = COMMANDS[verb]
    needed = {name for name, field in kind.model_fields.items() if field.is_required()}
    # A shift or stigmator needs both components; a move may leave both out.
    shift = {"x_m": 0.0, "y_m": 0.0} if needed & {"x_m", "y_m"} else {}
    return kind.model_validate({**{name: fields[name] for name in needed if name in fields}, **shift})
