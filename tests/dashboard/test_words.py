"""What is amiss is said in words: what happened, what is safe, what to do next."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from eucentric_core import (
    Capabilities,
    ErrorReport,
    LeaseLost,
    LeaseStatus,
    RecordingPaused,
    ServiceUnavailableError,
    Settings,
    StagePosition,
    utc_now,
)
from eucentric_core.vocabulary import InstrumentState
from eucentric_dashboard import CoursePoint, Notice
from eucentric_dashboard._hub import LiveFigures
from eucentric_dashboard._watch import AgentStatus, Reading
from eucentric_dashboard._words import age_in_words, notices

from .stand_in import OPTICS

SETTINGS = Settings()
SILENT = ServiceUnavailableError("No service answers.", safe="nothing was sent.", next_step="check it.")
EDGE = Reading("running", 100.0)
ANSWER = CoursePoint("s1", 1, utc_now(), 1, 0.4, 0.04, 0.03, None)


def agent(
    *, scanning: bool = True, beam_blanked: bool = False, fault: ErrorReport | None = None
) -> Reading[AgentStatus]:
    state = InstrumentState(
        session="s1",
        scanning=scanning,
        beam_blanked=beam_blanked,
        next_sequence=4,
        stage=StagePosition(),
        optics=OPTICS,
        dose_e_per_a2=None,
        simulated=True,
        fault=fault,
    )
    can = Capabilities(instrument="scope", model="m", simulated=True, verbs=(), streams=())
    return Reading(AgentStatus(can, state, LeaseStatus(holder=None, epoch=0, remaining_s=0)), 100.0)


def figures(frame_age_s: float | None, answer: CoursePoint | None = ANSWER) -> LiveFigures:
    return LiveFigures(frame_age_s, 10.0, 0, 0.03, 0.04, answer)


def said(
    of_agent: Reading[AgentStatus],
    of_figures: LiveFigures,
    *,
    edge: Reading[str] = EDGE,
    events: tuple[LeaseLost | RecordingPaused, ...] = (),
) -> tuple[Notice, ...]:
    return notices(SETTINGS, of_agent, edge, of_figures, events, now_s=112.0, now_utc=utc_now())


def test_nothing_is_said_when_all_is_well() -> None:
    assert said(agent(), figures(0.1)) == ()


def test_an_agent_that_is_gone_is_named_with_how_long_and_what_guards_the_beam() -> None:
    (notice,) = said(Reading(agent().value, 99.0, SILENT, 100.0), figures(12.0))

    assert notice.level == "alarm"
    assert "127.0.0.1:4310" in notice.what
    assert "12 s" in notice.what
    assert "watchdog" in notice.safe
    assert "eucentric agent run" in notice.next_step


def test_a_scan_that_brings_no_frames_is_told_from_one_that_was_stopped() -> None:
    (stalled,) = said(agent(scanning=True), figures(8.0))
    (stopped,) = said(agent(scanning=False, beam_blanked=True), figures(8.0))

    assert stalled.level == "warning"
    assert "scans, but no frame" in stalled.what
    assert stalled.safe == "the beam is ON the sample."
    assert stopped.level == "info"
    assert stopped.safe == "the beam is blanked."


def test_before_the_first_frame_the_page_says_what_it_waits_for() -> None:
    (notice,) = said(agent(scanning=False), figures(None, None))

    assert "not scanning" in notice.what
    assert "start a scan" in notice.next_step


def test_an_edge_that_is_gone_does_not_alarm_about_the_acquisition() -> None:
    (notice,) = said(agent(), figures(0.1), edge=Reading("running", 90.0, SILENT, 105.0))

    assert notice.level == "warning"
    assert "without detections" in notice.what
    assert "recording" in notice.safe


def test_an_edge_that_cannot_follow_is_said_with_what_to_do_about_it() -> None:
    (notice,) = said(agent(), replace(figures(0.1), edge_behind_s=84.0))

    assert notice.level == "warning"
    assert "84 s behind" in notice.what
    assert "recorded" in notice.safe
    assert "edge.frames" in notice.next_step


def test_a_failed_scan_tells_its_own_story() -> None:
    fault = ErrorReport(
        code="busy", what="The camera is not inserted.", safe="beam blanked.", next_step="insert it."
    )

    (notice,) = said(agent(fault=fault), figures(0.1))

    assert notice == Notice(
        "alarm", "The last scan failed: The camera is not inserted.", "beam blanked.", "insert it."
    )


def test_the_gravest_comes_first_and_old_events_are_not_repeated() -> None:
    report = ErrorReport(
        code="out_of_space", what="The disk is full.", safe="nothing lost.", next_step="free space."
    )
    old = LeaseLost(
        source="scope",
        holder="anna",
        epoch=3,
        safe_state_s=0.2,
        occurred_utc=utc_now() - timedelta(minutes=5),
    )
    paused = RecordingPaused(source="scope", error=report)

    found = said(agent(), figures(0.1), edge=Reading(None, None, SILENT, 105.0), events=(old, paused))

    assert found[0].what == "The disk is full."
    assert [notice.level for notice in found] == ["alarm", "warning"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.24, "0.2 s"), (12.4, "12 s"), (180, "3 min"), (7300, "2 h")]
)
def test_ages_are_short(seconds: float, words: str) -> None:
    assert age_in_words(seconds) == words
