"""What the page says when something is missing: what happened, what is safe, what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from eucentric_core import (
    AnyEvent,
    ErrorReport,
    FlightCheckFailed,
    FrameQuarantined,
    LeaseLost,
    LedgerMended,
    ModelRefused,
    RecordingPaused,
    Settings,
    TransferFailed,
)
from eucentric_core.vocabulary import InstrumentState

from ._hub import LiveFigures
from ._watch import AgentStatus, Reading

__all__ = ["STALE_S", "Notice", "age_in_words", "notices"]

STALE_S = 3.0
"""A newest frame older than this is no longer called live."""

_RECENT = timedelta(seconds=60)

Level = Literal["info", "warning", "alarm"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing a viewer has to know."""

    level: Level
    what: str
    safe: str
    next_step: str


def age_in_words(seconds: float) -> str:
    """`0.2 s`, `12 s`, `3 min`, `2 h`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def notices(
    settings: Settings,
    agent: Reading[AgentStatus],
    edge: Reading[str],
    figures: LiveFigures,
    events: Sequence[AnyEvent],
    *,
    now_s: float,
    now_utc: datetime,
) -> tuple[Notice, ...]:
    """All that is amiss, the gravest first."""
    recent = (_of_event(event) for event in events if now_utc - event.occurred_utc < _RECENT)
    found = [
        *_of_agent(settings, agent, figures, now_s=now_s),
        *_of_edge(settings, edge, figures, now_s=now_s),
        *(notice for notice in recent if notice is not None),
    ]
    order: dict[Level, int] = {"alarm": 0, "warning": 1, "info": 2}
    return tuple(sorted(found, key=lambda notice: order[notice.level]))


def _of_agent(
    settings: Settings, agent: Reading[AgentStatus], figures: LiveFigures, *, now_s: float
) -> list[Notice]:
    if agent.error is not None:
        since = _since(agent, now_s)
        return [
            Notice(
                "alarm",
                f"The agent at {settings.agent.host}:{settings.agent.control_port} has not answered for "
                f"{since}; nothing below is live.",
                "this page steers nothing, and the agent's own watchdog guards beam and stage without it.",
                "check that the agent runs on the control PC (`eucentric agent run`); "
                "this page reconnects by itself.",
            )
        ]
    if agent.value is None:
        return [Notice("info", "Asking the agent.", "nothing was changed.", "wait a moment.")]
    state = agent.value.state
    return [*_of_fault(state.fault), *_of_frames(state, figures)]


def _since(reading: Reading[AgentStatus] | Reading[str], now_s: float) -> str:
    return age_in_words(now_s - (reading.failing_since_s or now_s))


def _of_fault(fault: ErrorReport | None) -> list[Notice]:
    if fault is None:
        return []
    return [Notice("alarm", f"The last scan failed: {fault.what}", fault.safe, fault.next_step)]


def _of_frames(state: InstrumentState, figures: LiveFigures) -> list[Notice]:
    beam = "the beam is blanked." if state.beam_blanked else "the beam is ON the sample."
    age_s = figures.frame_age_s
    if age_s is None and not state.scanning:
        what = "No frame yet: the instrument is not scanning."
        return [Notice("info", what, beam, "start a scan; frames show by themselves.")]
    if age_s is not None and age_s <= STALE_S:
        return []
    since = "yet" if age_s is None else f"for {age_in_words(age_s)}"
    if state.scanning:
        return [
            Notice(
                "warning",
                f"The instrument scans, but no frame has come {since}.",
                beam,
                "look at the recorder and its disk: acquisition waits rather than lose a frame.",
            )
        ]
    what = f"The scan has stopped; the newest frame is {age_in_words(age_s or 0)} old."
    return [Notice("info", what, beam, "start a scan to go on.")]


def _of_edge(settings: Settings, edge: Reading[str], figures: LiveFigures, *, now_s: float) -> list[Notice]:
    if edge.error is not None:
        since = _since(edge, now_s)
        return [
            Notice(
                "warning",
                f"The edge at {settings.edge.host}:{settings.edge.control_port} has not answered for "
                f"{since}; frames are shown without detections.",
                "acquisition and recording do not depend on it.",
                "check that it runs (`eucentric edge serve`); this page reconnects by itself.",
            )
        ]
    live = figures.frame_age_s is not None and figures.frame_age_s <= STALE_S
    if live and figures.last_answer is None:
        return [
            Notice(
                "info",
                "The edge has not answered a frame yet.",
                "frames are recorded all the same.",
                "if this stays, install a model (`eucentric models ls`).",
            )
        ]
    if live and figures.edge_behind_s is not None:
        return [
            Notice(
                "warning",
                f"The answers of the edge are {age_in_words(figures.edge_behind_s)} behind; frames are shown "
                "without them.",
                "frames are recorded all the same; drift is noticed later than it begins.",
                "see what the edge is at (`eucentric edge status`); if it is too slow for this scan, scan "
                'slower, or let it skip what it cannot follow (`edge.frames = "newest"`).',
            )
        ]
    return []


def _of_event(event: AnyEvent) -> Notice | None:
    if isinstance(event, RecordingPaused | FlightCheckFailed):
        return _of_report("alarm", event.error)
    if isinstance(event, TransferFailed | ModelRefused | FrameQuarantined | LedgerMended):
        return _of_report("warning", event.error)
    if isinstance(event, LeaseLost):
        return Notice(
            "alarm",
            f"The lease of {event.holder} was lost.",
            f"beam and stage were put in their safe state within {event.safe_state_s:.1f} s.",
            "whoever steers requests the lease again.",
        )
    return None


def _of_report(level: Level, report: ErrorReport) -> Notice:
    return Notice(level, report.what, report.safe, report.next_step)
