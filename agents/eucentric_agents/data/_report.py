"""What the data process says about itself, and how that is said in a line."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from eucentric_core import FrozenModel
from eucentric_core.transport import DataServer, DataServerStatus, Pacer, PacerStatus

from ..recording import Journal, Recorder, RecorderStatus, RecoveryReport, ShipperStatus
from ._desk import DataDesk

__all__ = [
    "DataReport",
    "describe_data",
    "describe_silence",
    "duration",
    "register_report",
    "shipping_troubles",
]

_SILENT_S = 3.0
_NO_RECEIPT_S = 120.0
_HOW_IT_ENDS = ": session.stop ends it, or the next session.start if the instrument was restarted meanwhile"

_log = logging.getLogger(__name__)


class DataReport(FrozenModel):
    """The answer to `data.status`. `left_open` are sessions of an earlier run that nobody has ended yet."""

    server: DataServerStatus
    recorder: RecorderStatus
    pacer: PacerStatus
    recovery: RecoveryReport = RecoveryReport()
    left_open: tuple[str, ...] = ()


def register_report(
    desk: DataDesk, server: DataServer, recorder: Recorder, pacer: Pacer, journal: Journal
) -> None:
    """Answer `data.status`, and log what was recovered. Call it before anything else is recorded."""
    found = frozenset(row.id for row in journal.ledger.unfinished_sessions())

    def left_open() -> tuple[str, ...]:
        rows = journal.ledger.unfinished_sessions()
        return tuple(f"{row.instrument}.{row.session}" for row in rows if row.id in found)

    if words := _recovered({"recovery": journal.recovery.model_dump(), "left_open": left_open()}):
        _log.warning("%s", words)

    def status(_payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        report = DataReport(
            server=server.status(),
            recorder=recorder.status(),
            pacer=pacer.status(),
            recovery=journal.recovery,
            left_open=left_open(),
        )
        return report.model_dump(mode="json")

    desk.register("data.status", status)


def describe_data(facts: Mapping[str, Any]) -> str:
    """One line for `eucentric agent status`, from what an agent answers to `data.status`; empty if nothing.

    Args:
        facts: plain JSON. An agent of another version may say more or less than this one knows.
    """
    server = facts.get("server") or {}
    if not server:
        return str(facts.get("trouble", ""))
    subscribers = server.get("subscribers", [])
    number = "1 subscriber" if len(subscribers) == 1 else f"{len(subscribers)} subscribers"
    words = [number, "encrypted" if server.get("encrypted") else "on this machine"]
    words += [_held_back(one) for one in subscribers if one.get("holds_back_s") is not None]
    recorder = facts.get("recorder") or {}
    if recorder:
        words.append(f"{recorder['state']}, {recorder['frames_durable']} frames durable")
        if hurried := recorder.get("frames_hurried"):
            words.append(f"{hurried} frames not compressed, they came too fast")
    shipper = (facts.get("shipping") or {}).get("shipper")
    if shipper:
        backlog = f"{shipper['pending_shards']} shards ({shipper['pending_bytes'] / 1e6:.0f} MB) to ship"
        words.append(f"{shipper['state']}, {backlog}")
        if shipper.get("stuck"):
            words.append(f"{shipper['stuck']} STUCK")
        if (silence := describe_silence(shipper)) is not None:
            words.append(silence)
    words += filter(None, [_recovered(facts)])
    return "; ".join(words)


def describe_silence(shipper: Mapping[str, Any]) -> str | None:
    """That the repository gives no receipts, from a `ShipperStatus`; None unless it lasts."""
    silent_s = shipper.get("oldest_unreceipted_s")
    if silent_s is None or silent_s < _NO_RECEIPT_S or shipper.get("outage_s") is not None:
        return None
    return (
        f"no receipt for {shipper['awaiting_receipt']} shards for {duration(silent_s)}; "
        "check that the repository's service runs on this root"
    )


def shipping_troubles(status: ShipperStatus) -> Iterator[tuple[str, str]]:
    """What keeps shards from arriving, as names and values for people; nothing while all is well."""
    if status.outage_s is not None:
        yield "nothing arrives since", duration(status.outage_s)
    if (silence := describe_silence(status.model_dump())) is not None:
        yield "no receipt", silence
    if status.error is not None:
        yield "because", f"{status.error.what} Next: {status.error.next_step}"


def duration(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _recovered(facts: Mapping[str, Any]) -> str:
    recovery = facts.get("recovery") or {}
    frames = recovery.get("frames_recovered", 0)
    open_sessions = facts.get("left_open") or ()
    words = [str(recovery["ledger"])] if recovery.get("ledger") else []
    words += [f"{frames} frames recovered"] if frames else []
    words += [f"session {name} is open{_HOW_IT_ENDS}" for name in open_sessions]
    return "; ".join(words)


def _held_back(subscriber: Mapping[str, Any]) -> str:
    streams = ", ".join(subscriber["streams"]) or "all streams"
    where = subscriber["address"] or "this machine"
    silent = subscriber["silent_s"]
    words = f"HELD BACK for {subscriber['holds_back_s']:.0f} s by a reader of {streams} on {where}"
    return f"{words}, silent for {silent:.0f} s" if silent > _SILENT_S else words
