"""Who is asked, and what somebody should look after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import pytest

from eucentric_core import ServiceAbout, load_settings
from eucentric_dashboard._instruments import settings_by_instrument
from eucentric_dashboard.pages.fleet._doctor import read_findings
from eucentric_dashboard.pages.fleet._look import Seen, Service, look, services_of, worries

from .stand_in import Site

NOW = datetime(2026, 11, 27, tzinfo=UTC)
TITAN = Service("titan", "agent", "127.0.0.1", 4310)


def seen(*, clock_offset_s: float = 0.0, round_trip_s: float = 0.01, **facts: Any) -> Seen:
    about = ServiceAbout(
        **{
            "service": "agent",
            "version": version("eucentric"),
            "state": "ready",
            "utc": NOW,
            "free_bytes": 10**12,
            "disk_bytes": 2 * 10**12,
            "system": "Linux, Python 3.11",
            **facts,
        }
    )
    return Seen(TITAN, about, at_utc=NOW, clock_offset_s=clock_offset_s, round_trip_s=round_trip_s)


def test_a_service_that_is_well_needs_nobody() -> None:
    assert worries(seen(certificate_until=NOW + timedelta(days=90)), now_utc=NOW) == ()


@pytest.mark.parametrize(
    ("one", "tone", "words"),
    [
        (Seen(TITAN), "failed", "does not answer"),
        (seen(free_bytes=5 * 10**9), "waiting", "5.0 GB of disk left"),
        (seen(free_bytes=10**8), "failed", "0.1 GB of disk left"),
        (seen(clock_offset_s=-3.0), "waiting", "its clock is -3.0 s off"),
        (seen(certificate_until=NOW + timedelta(days=3)), "waiting", "expires in 3 days"),
        (seen(certificate_until=NOW - timedelta(days=1)), "failed", "has expired"),
        (seen(version="0.0.1"), "waiting", "runs 0.0.1"),
        (seen(state="no model"), "waiting", "no model"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_needs_somebody_is_said(one: Seen, tone: str, words: str) -> None:
    ((found_tone, found_words),) = worries(one, now_utc=NOW)

    assert (found_tone, words in found_words) == (tone, True)


def test_an_offset_within_the_round_trip_is_none() -> None:
    assert worries(seen(clock_offset_s=1.4, round_trip_s=1.0), now_utc=NOW) == ()


def test_the_gravest_comes_first() -> None:
    found = worries(seen(clock_offset_s=9.0, free_bytes=0), now_utc=NOW)

    assert [tone for tone, _ in found] == ["failed", "waiting"]


def test_each_address_is_asked_once_and_a_silent_one_is_told_with_when_it_was_last_heard_of(
    site: Site,
) -> None:
    settings = load_settings(
        flags={
            "agent": site.settings.agent.model_dump(include={"control_port", "data_port"}),
            "edge": site.settings.edge.model_dump(include={"control_port", "data_port"}),
            "instruments": {
                "same": {"control_port": site.settings.agent.control_port},
                "other": {"host": "other.example", "edge": {"host": "other-edge.example"}},
            },
            "hub": {"more_edges": ["third-edge.example:4320"]},
        },
        environment={},
    )

    by_instrument = settings_by_instrument(settings)
    services = services_of(by_instrument)

    assert list(by_instrument) == ["microscope-1", "other"]
    assert [(one.kind, one.host) for one in services] == [
        ("agent", "127.0.0.1"),
        ("edge", "127.0.0.1"),
        ("edge", "third-edge.example"),
        ("agent", "other.example"),
        ("edge", "other-edge.example"),
    ]
    before = Seen(services[0], at_utc=NOW)
    now = look(services[:1], {services[0]: before})[services[0]]
    assert now.error is not None
    assert now.at_utc == NOW


def test_the_findings_of_the_doctor_are_read() -> None:
    (one,) = read_findings(
        '{"ok": true, "findings": [{"name": "a", "status": "ok", "detail": "b", "fix": ""}]}'
    )

    assert (one.name, one.status, one.detail) == ("a", "ok", "b")
