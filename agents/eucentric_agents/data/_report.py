"""What the data process says about itself, and how that is said in a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from eucentric_core import FrozenModel
from eucentric_core.transport import DataServer, DataServerStatus, Pacer, PacerStatus

from ..recording import Recorder, RecorderStatus
from ._desk import DataDesk

__all__ = ["DataReport", "describe_data", "register_report"]

_SILENT_S = 3.0


class DataReport(FrozenModel):
    """The answer to `data.status`."""

    server: DataServerStatus
    recorder: RecorderStatus
    pacer: PacerStatus


def register_report(desk: DataDesk, server: DataServer, recorder: Recorder, pacer: Pacer) -> None:
    """Answer `data.status`."""

    def status(_payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        report = DataReport(server=server.status(), recorder=recorder.status(), pacer=pacer.status())
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
    words = [f"{len(subscribers)} subscribers", "encrypted" if server.get("encrypted") else "on this machine"]
    words += [_held_back(one) for one in subscribers if one.get("holds_back_s") is not None]
    recorder = facts.get("recorder") or {}
    if recorder:
        words.append(f"{recorder['state']}, {recorder['frames_durable']} frames durable")
    shipper = (facts.get("shipping") or {}).get("shipper")
    if shipper:
        backlog = f"{shipper['pending_shards']} shards ({shipper['pending_bytes'] / 1e6:.0f} MB) to ship"
        words.append(f"{shipper['state']}, {backlog}")
        if shipper.get("stuck"):
            words.append(f"{shipper['stuck']} STUCK")
    return "; ".join(words)


def _held_back(subscriber: Mapping[str, Any]) -> str:
    streams = ", ".join(subscriber["streams"]) or "all streams"
    where = subscriber["address"] or "this machine"
    silent = subscriber["silent_s"]
    words = f"HELD BACK for {subscriber['holds_back_s']:.0f} s by a reader of {streams} on {where}"
    return f"{words}, silent for {silent:.0f} s" if silent > _SILENT_S else words
