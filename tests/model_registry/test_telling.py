"""What is told of versions, from the two records that a model has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from eucentric_model_registry import (
    Deployment,
    Promotion,
    deployment_sentences,
    service_periods,
    tell_history,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def said(minutes: int, version: int, state: Any, edge: str = "edge-1", reason: str = "") -> Deployment:
    return Deployment(
        name="atoms", version=version, edge=edge, state=state, reason=reason, since_utc=at(minutes)
    )


def test_an_edge_is_named_where_it_serves_and_where_it_served() -> None:
    lines = [said(0, 1, "serving"), said(1, 2, "waiting"), said(2, 2, "serving"), said(2, 2, "serving", "b")]

    assert deployment_sentences(1, lines) == ("served at edge-1",)
    assert deployment_sentences(2, lines) == ("serving at edge-1", "serving at b")
    assert deployment_sentences(3, lines) == ()


def test_a_refusal_stays_with_the_version_whatever_is_served_meanwhile() -> None:
    lines = [said(0, 2, "refused", reason="golden chip 0"), said(1, 1, "serving")]

    assert deployment_sentences(2, lines) == ("refused by edge-1: golden chip 0",)


def test_both_records_are_one_story_in_the_order_of_time() -> None:
    promoted = Promotion(
        name="atoms", version=2, previous_version=1, reason="better", who="ana", promoted_utc=at(1)
    )

    told = tell_history([promoted], [said(0, 1, "serving"), said(2, 2, "waiting", reason="better")])

    assert [(line.what, line.version, line.before, line.who, line.reason) for line in told] == [
        ("serving", 1, None, "edge edge-1", ""),
        ("promoted", 2, 1, "ana", "better"),
        ("waiting", 2, None, "edge edge-1", ""),
    ]


def test_production_begins_when_an_edge_says_so_and_ends_when_it_serves_another() -> None:
    lines = [
        said(0, 1, "waiting"),
        said(1, 1, "serving"),
        said(2, 1, "serving", "b"),
        said(5, 2, "waiting"),
        said(6, 2, "refused", reason="no"),
        said(7, 3, "serving"),
        said(8, 3, "serving"),
    ]

    periods = service_periods(lines)

    assert [(one.edge, one.version, one.since_utc, one.until_utc) for one in periods] == [
        ("b", 1, at(2), None),
        ("edge-1", 1, at(1), at(7)),
        ("edge-1", 3, at(7), None),
    ]
