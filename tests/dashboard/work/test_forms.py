"""Forms of frozen models: what a field may hold, how it is typed, and where a refusal is said."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import pytest
from pydantic import Field as Declared
from pydantic import ValidationError

from eucentric_core import FrozenModel
from eucentric_dashboard.forms import (
    Field,
    fields_of,
    parse_number,
    plain_value,
    problems_by_field,
    readable_number,
    shown_value,
    split_unit,
)
from eucentric_flows.catalogue import FLOWS
from eucentric_flows.desk import FILLED_IN
from eucentric_flows.policy import Policy


class Optics(FrozenModel):
    """How to look. `dwell_time_s` is how long each pixel is looked at.

    Nothing else counts.
    """

    dwell_time_s: Annotated[float, Declared(gt=0, le=1)] = 1e-6
    width_px: Annotated[int, Declared(ge=16)] = 512


class Request(FrozenModel):
    """What a flow is asked."""

    sample: str
    field_of_view_m: Annotated[float, Declared(gt=0, le=0.01)] | None = None
    serpentine: bool = True
    optics: Optics = Optics()
    days: tuple[str, ...] = ()
    policy: str | None = None


def by_name(fields: Sequence[Field]) -> dict[str, Field]:
    def walk(these: Sequence[Field]) -> Iterator[Field]:
        for field in these:
            yield field
            yield from walk(field.children)
            for inner in (field.variants or {}).values():
                yield from walk(inner)

    return {field.name: field for field in walk(fields)}


def test_a_field_has_its_unit_bounds_default_and_meaning() -> None:
    fields = by_name(fields_of(Request, hidden=("policy",)))

    dwell = fields["optics.dwell_time_s"]
    assert (dwell.kind, dwell.label, dwell.unit) == ("number", "Dwell time (s)", "s")
    assert (dwell.bounds, dwell.default) == ("more than 0, at most 1", 1e-6)
    assert dwell.help == "dwell_time_s is how long each pixel is looked at"
    view = fields["field_of_view_m"]
    assert (view.nullable, view.bounds) == (True, "more than 0, at most 10 mm")
    assert (fields["sample"].required, fields["sample"].kind) == (True, "text")
    assert (fields["serpentine"].kind, fields["days"].kind) == ("switch", "list")
    assert fields["optics"].help == "How to look"
    assert "policy" not in fields


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("4 nm", "m", 4e-9),
        ("4e-9", "m", 4e-9),
        ("12.5pm", "m", 12.5e-12),
        ("2 Å", "m", 2e-10),
        ("1 µs", "s", 1e-6),
        ("10 min", "s", 600.0),
        ("30 d", "s", 2_592_000.0),
        ("300 kV", "V", 300e3),
        ("90 deg", "rad", math.pi / 2),
        ("7", "", 7.0),
        ("512 px", "px", 512.0),
    ],
)
def test_numbers_are_typed_with_the_unit_that_is_at_hand(text: str, unit: str, value: float) -> None:
    assert parse_number(text, unit) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "unit", "said"),
    [
        ("4 s", "m", "is in s; m is wanted"),
        ("four", "m", "is no number, for example 4 nm"),
        ("4 nm", "", "a number without a unit"),
        ("4 mm mm", "m", "is no number"),
        ("3 kpx", "px", "is in kpx; px is wanted"),
    ],
)
def test_another_kind_of_unit_is_refused(text: str, unit: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_number(text, unit)


@pytest.mark.parametrize("unit", ["m", "s", "V", "A", "rad", "eV", "", "px"])
@pytest.mark.parametrize("value", [0.0, 4e-9, 1.25e-12, 0.03, 1.0, 59.0, 600.0, 86_400.0, 80e3, -2e-6])
def test_what_is_shown_is_read_back_as_the_same_number(value: float, unit: str) -> None:
    assert parse_number(readable_number(value, unit), unit) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "words", "unit"),
    [
        ("dwell_time_s", "dwell_time", "s"),
        ("max_dose_e_per_a2", "max_dose", "e/Å²"),
        ("max_event_age_s", "max_event_age", "s"),
        ("rows", "rows", ""),
        ("s", "s", ""),
    ],
)
def test_the_unit_is_the_end_of_a_name(name: str, words: str, unit: str) -> None:
    assert split_unit(name) == (words, unit)


def test_what_stands_in_a_field_means_its_plain_value() -> None:
    fields = by_name(fields_of(Request))

    assert plain_value(fields["optics.width_px"], "256") == 256
    assert plain_value(fields["field_of_view_m"], "") is None
    assert plain_value(fields["days"], "mon, tue,") == ["mon", "tue"]
    assert plain_value(fields["serpentine"], False) is False
    assert shown_value(fields["field_of_view_m"], 4e-9) == "4 nm"
    with pytest.raises(ValueError, match="no whole number"):
        plain_value(fields["optics.width_px"], "256.5")


def test_a_refusal_is_said_at_the_field_where_it_is_mended() -> None:
    names = tuple(by_name(fields_of(Request)))
    with pytest.raises(ValidationError) as refused:
        Request.model_validate({"field_of_view_m": 4, "optics": {"dwell_time_s": 0, "width_px": 512}})

    said = problems_by_field(refused.value, names)

    assert said["sample"] == "is needed"
    assert "looks like" in said["field_of_view_m"], "the hint at the unit that was probably meant"
    assert said["optics.dwell_time_s"] == "input should be greater than 0"


@pytest.mark.parametrize("name", FLOWS)
def test_every_flow_has_a_form_whose_defaults_are_its_own(name: str) -> None:
    request = FLOWS[name].request
    fields = by_name(fields_of(request, hidden=("trigger_id", *FILLED_IN)))

    assert set(request.model_fields) - {"trigger_id", *FILLED_IN} == {one.partition(".")[0] for one in fields}
    for field in fields.values():
        if field.kind in ("whole", "number") and field.default is not None:
            shown: Any = shown_value(field, field.default)
            assert plain_value(field, shown) == pytest.approx(field.default, rel=1e-5), field.name


def test_a_policy_has_a_form_with_every_kind_of_trigger_and_action() -> None:
    fields = by_name(fields_of(Policy))

    assert {"drift", "metric", "schedule", "all"} <= set(fields["trigger"].choices)
    assert {"retrain", "notify", "roll_back"} <= set(fields["action"].choices)
    assert fields["guards.quiet_hours"].nullable
    assert fields["guards.quiet_hours.days"].choices[0] == "mon"
