"""Events keep their type on every way they take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric_core import AnyEvent, DriftDetected, ErrorReport, Event, SessionStarted, parse_event

ERROR = ErrorReport(code="out_of_space", what="Full.", safe="all.", next_step="free space.")

# Something for every field that has no default.
VALUES: dict[str, Any] = {
    "source": "twin",
    "instrument": "twin",
    "session": "s1",
    "frames": 3,
    "missing": 0,
    "dataset_id": "twin.s1",
    "idempotency_key": "twin:s1:0..2",
    "first_sequence": 1,
    "sequence": 2,
    "drift_score": 3.5,
    "quality_score": 0.4,
    "model_name": "atoms",
    "model_version": 2,
    "previous_version": None,
    "swap_s": 0.01,
    "latency_s": 0.02,
    "reason": "better",
    "error": ERROR,
    "holder": "notebook",
    "epoch": 4,
    "safe_state_s": 0.3,
    "outage_s": 12.0,
    "stream": "haadf",
    "took_s": 3.5,
    "stage": "ship",
    "metric": "f1",
    "value": 0.9,
    "policy": "on-drift",
    "requested_by": "somebody",
    "flow": "retrain",
    "trigger_id": "t1",
    "outcome": "promoted",
}


def kinds() -> Iterator[type[Event]]:
    """Every event of the ground floor."""
    return (kind for kind in Event.__subclasses__() if kind.__module__.startswith("eucentric_core"))


def example(kind: type[Event]) -> Event:
    """An event with something in every required field."""
    required = {name for name, field in kind.model_fields.items() if field.is_required()}
    return kind(**{name: VALUES[name] for name in required})


def test_every_event_is_in_the_union() -> None:
    assert set(get_args(get_args(AnyEvent)[0])) == set(kinds())


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
def test_every_event_comes_back_as_itself(kind: type[Event]) -> None:
    event = example(kind)
    again = parse_event(event.model_dump_json())
    assert type(again) is kind
    assert again == event
    assert again.resource_id == "eucentric.twin"


def test_kinds_are_named_as_what_happened_to_what() -> None:
    names = [kind.model_fields["kind"].default for kind in kinds()]
    assert len(set(names)) == len(names)
    assert all(len(name.split(".")) == 2 for name in names)


def test_two_events_are_never_the_same_event() -> None:
    events = [SessionStarted(source="twin", instrument="twin", session="s1") for _ in range(100)]
    assert len({event.id for event in events}) == 100


def test_drift_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValidationError, match="before"):
        example(DriftDetected).model_validate({**example(DriftDetected).model_dump(), "first_sequence": 3})


@pytest.mark.parametrize("text", ["", "{}", '{"kind": "beam.lost"}', '{"kind": "session.started"}', "[]"])
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        parse_event(text)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_parse_or_be_refused(text: bytes) -> None:
    with pytest.raises(ValidationError):
        parse_event(text)
