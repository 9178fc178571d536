"""How runs read in a list. Pure."""

from __future__ import annotations

from datetime import datetime

from eucentric_flows import RunView
from eucentric_flows.runs import duration_words, state_words

from ...widgets import Tone

__all__ = ["heartbeat_words", "now_words", "run_tone", "took_words"]

_SILENT_S = 10.0
_TONES: dict[str, Tone] = {
    "running": "active", "promoted": "done", "done": "done", "rejected": "waiting", "held": "waiting",
    "cancelled": "waiting", "failed": "failed", "lost": "failed",
}  # fmt: skip


def run_tone(run: RunView) -> Tone:
    """How the state of a run is coloured."""
    return _TONES[run.state]


def now_words(run: RunView) -> str:
    """What it does or waits for now, or how it ended and why."""
    if run.over:
        return run.reason
    if run.state == "lost":
        return f"{state_words(run)}; the service goes on with it by itself, or Go on does"
    if run.waiting is not None:
        return f"{run.waiting.stage}: waiting, {run.waiting.reason}"
    return "running" if run.doing is None else f"{run.doing.name}: {run.doing.message or 'at work'}"


def heartbeat_words(run: RunView) -> str:
    """The age of the last sign of life; empty once it is over."""
    if run.over:
        return ""
    age = duration_words(run.heartbeat_age_s)
    return f"silent for {age}" if run.heartbeat_age_s > _SILENT_S else f"alive, {age} ago"


def took_words(run: RunView, now_utc: datetime) -> str:
    """How long it took, or has been taking."""
    seconds = ((run.ended_utc or now_utc) - run.started_utc).total_seconds()
    return duration_words(max(0.0, seconds)) + ("" if run.over else " so far")
