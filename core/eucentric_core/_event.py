"""Typed facts. They become Prefect events and audit entries."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args
from uuid import uuid4

from pydantic import Field, TypeAdapter, model_validator

from ._errors import ErrorReport
from ._model import FrozenModel, Identifier, UtcDatetime, utc_now
from ._second_version import SecondVersion
from ._trace import trace_id_of

__all__ = [
    "AnyEvent",
    "DatasetRegistered",
    "DriftDetected",
    "DriftRecovered",
    "Event",
    "FlightCheckFailed",
    "FlightCheckPassed",
    "FrameQuarantined",
    "LeaseLost",
    "LedgerMended",
    "ModelAnswered",
    "ModelEvaluated",
    "ModelInstalled",
    "ModelPromoted",
    "ModelRefused",
    "PolicyRequested",
    "RecordingPaused",
    "RunEnded",
    "SessionStarted",
    "SessionStopped",
    "ShardRegistered",
    "TransferFailed",
    "TransferRecovered",
    "event_fields",
    "parse_event",
]


def _new_id() -> str:
    return uuid4().hex


class Event(FrozenModel):
    """Something that happened, when, where, and as part of which trace: by default its own."""

    schema_version: Literal[1, 2] = 1
    id: Annotated[str, Field(min_length=1, max_length=64)] = Field(default_factory=_new_id)
    kind: str
    source: Identifier
    occurred_utc: UtcDatetime = Field(default_factory=utc_now)
    trace_id: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        default_factory=lambda known: trace_id_of(known["id"])
    )

    @property
    def resource_id(self) -> str:
        """Name of the thing the event is about, as Prefect automations match it."""
        return f"eucentric.{self.source}"


class SessionStarted(Event):
    """Frames that follow on the data channel belong to this session."""

    kind: Literal["session.started"] = "session.started"
    instrument: Identifier
    session: Identifier
    sample: Identifier | None = None
    material: Identifier | None = None


class SessionStopped(Event):
    """The session is over. `frames` acquisitions were published; the recorder closes the data set."""

    kind: Literal["session.stopped"] = "session.stopped"
    instrument: Identifier
    session: Identifier
    frames: Annotated[int, Field(ge=0)]


class ShardRegistered(SecondVersion, Event):
    """A shard is verified and in the catalogue; emitted once per idempotency key."""

    SINCE_VERSION_2 = ("size_bytes", "sample", "instrument")

    kind: Literal["shard.registered"] = "shard.registered"
    dataset_id: str
    idempotency_key: str
    frames: Annotated[int, Field(ge=1)]
    size_bytes: Annotated[int, Field(ge=1)] | None = None
    material: Identifier | None = None
    sample: Identifier | None = None
    instrument: Identifier | None = None


class DatasetRegistered(SecondVersion, Event):
    """A recording is closed and all its shards are in the catalogue."""

    SINCE_VERSION_2 = ("sample", "instrument")

    kind: Literal["dataset.registered"] = "dataset.registered"
    dataset_id: str
    frames: Annotated[int, Field(ge=0)]
    missing: Annotated[int, Field(ge=0)]
    material: Identifier | None = None
    sample: Identifier | None = None
    instrument: Identifier | None = None


class DriftDetected(Event):
    """The frames have left what the model knows *and* a quality proxy fell (two gates)."""

    kind: Literal["drift.detected"] = "drift.detected"
    instrument: Identifier
    session: Identifier
    first_sequence: Annotated[int, Field(ge=0)]
    sequence: Annotated[int, Field(ge=0)]
    drift_score: Annotated[float, Field(ge=0)]
    quality_score: Annotated[float, Field(ge=0)]
    model_name: Identifier
    model_version: Annotated[int, Field(ge=1)]
    material: Identifier | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.sequence < self.first_sequence:
            raise ValueError("sequence lies before first_sequence")
        return self


class DriftRecovered(Event):
    """The frames are familiar to the model again: the episode that `drift.detected` began is over."""

    kind: Literal["drift.recovered"] = "drift.recovered"
    instrument: Identifier
    session: Identifier
    sequence: Annotated[int, Field(ge=0)]
    model_name: Identifier
    model_version: Annotated[int, Field(ge=1)]
    material: Identifier | None = None


class ModelEvaluated(Event):
    """A figure of a version was measured again; `reference` is the same figure when it became champion."""

    kind: Literal["model.evaluated"] = "model.evaluated"
    model_name: Identifier
    model_version: Annotated[int, Field(ge=1)]
    metric: Identifier
    value: float
    reference: float | None = None
    dataset_id: str | None = None


class ModelPromoted(Event):
    """The champion alias moved."""

    kind: Literal["model.promoted"] = "model.promoted"
    model_name: Identifier
    model_version: Annotated[int, Field(ge=1)]
    reason: str


class ModelInstalled(Event):
    """The edge answers frames with this version, from `first_sequence` on."""

    kind: Literal["model.installed"] = "model.installed"
    model_name: Identifier
    model_version: Annotated[int, Field(ge=1)]
    previous_version: int | None
    swap_s: Annotated[float, Field(ge=0)]


class ModelAnswered(Event):
    """The edge answered its first frame with this version."""

    kind: Literal["model.answered"] = "model.answered"
    model_name: Identifier
    model_version: Annotated[int, Field(ge=1)]
    session: Identifier
    sequence: Annotated[int, Field(ge=0)]
    latency_s: Annotated[float, Field(ge=0)]


class ModelRefused(Event):
    """A bundle was refused; the old model keeps serving."""

    kind: Literal["model.refused"] = "model.refused"
    error: ErrorReport


class PolicyRequested(Event):
    """A person asks for what a policy declares. Its guards hold all the same."""

    kind: Literal["policy.requested"] = "policy.requested"
    policy: Identifier
    requested_by: Annotated[str, Field(min_length=1, max_length=200)]
    session: Identifier | None = None
    dataset_id: str | None = None


class RunEnded(Event):
    """A run of a flow has come to its end; the record of runs says how."""

    kind: Literal["run.ended"] = "run.ended"
    flow: Identifier
    trigger_id: Identifier
    policy: Identifier | None = None
    model_name: str
    outcome: Identifier


class LeaseLost(Event):
    """A lease ended without being released; the instrument was put in its safe state."""

    kind: Literal["lease.lost"] = "lease.lost"
    holder: str
    epoch: Annotated[int, Field(ge=0)]
    safe_state_s: Annotated[float, Field(ge=0)]


class TransferFailed(Event):
    """A shard did not arrive; the source is kept and the transfer will be tried again."""

    kind: Literal["transfer.failed"] = "transfer.failed"
    error: ErrorReport


class TransferRecovered(Event):
    """Transfers that had failed for `outage_s` arrive again."""

    kind: Literal["transfer.recovered"] = "transfer.recovered"
    outage_s: Annotated[float, Field(ge=0)]


class FrameQuarantined(Event):
    """A frame cannot be part of a data set; it lies in the quarantine, with the reason beside it."""

    kind: Literal["frame.quarantined"] = "frame.quarantined"
    instrument: Identifier
    session: Identifier
    stream: str
    sequence: Annotated[int, Field(ge=0)] | None = None
    error: ErrorReport


class FlightCheckPassed(Event):
    """A test data set went from the data channel to the repository's receipt and back."""

    kind: Literal["flight_check.passed"] = "flight_check.passed"
    instrument: Identifier
    dataset_id: str
    took_s: Annotated[float, Field(ge=0)]


class FlightCheckFailed(Event):
    """A test data set is stuck on its way; `stage` says where."""

    kind: Literal["flight_check.failed"] = "flight_check.failed"
    instrument: Identifier
    dataset_id: str
    stage: str
    error: ErrorReport


class LedgerMended(Event):
    """The ledger of the recording was damaged; it is set aside and made anew, and the recording goes on."""

    kind: Literal["recording.ledger_mended"] = "recording.ledger_mended"
    error: ErrorReport


class RecordingPaused(Event):
    """Acquisition stands still because frames cannot be made durable."""

    kind: Literal["recording.paused"] = "recording.paused"
    error: ErrorReport


AnyEvent = Annotated[
    SessionStarted
    | SessionStopped
    | ShardRegistered
    | DatasetRegistered
    | DriftDetected
    | DriftRecovered
    | ModelEvaluated
    | ModelPromoted
    | ModelInstalled
    | ModelRefused
    | ModelAnswered
    | PolicyRequested
    | RunEnded
    | LeaseLost
    | TransferFailed
    | TransferRecovered
    | FrameQuarantined
    | FlightCheckPassed
    | FlightCheckFailed
    | RecordingPaused
    | LedgerMended,
    Field(discriminator="kind"),
]


def event_fields() -> frozenset[str]:
    """Names of all fields that some event has beside those that every event has."""
    kinds = get_args(get_args(AnyEvent)[0])
    return frozenset(name for kind in kinds for name in kind.model_fields) - frozenset(Event.model_fields)


_ADAPTER: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


def parse_event(text: str | bytes) -> AnyEvent:
    """The typed event in a JSON text.

    Raises:
        pydantic.ValidationError: the text is not an event of this schema.
    """
    return _ADAPTER.validate_json(text)
