"""Every verb parses, and nothing that is unknown, out of bounds or not a number gets near an instrument."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from eucentric_core import CommandEnvelope, InstrumentVerbs
from eucentric_core.vocabulary import COMMANDS, AnyCommand, Command, CommandResult, parse_command

MINIMAL: dict[str, dict[str, Any]] = {
    "session.start": {"session": "s1"},
    "beam.unblank": {"max_duration_s": 1.0},
    "beam.park": {"y_fraction": 0.5, "x_fraction": 0.5},
    "beam.shift": {"x_m": 1e-9, "y_m": -1e-9},
    "optics.defocus": {"defocus_m": 1e-9},
    "optics.stigmator": {"x_m": 1e-9, "y_m": 0.0},
    "optics.scan_rotation": {"rotation_rad": 0.5},
    "optics.field_of_view": {"field_of_view_m": 1e-8},
    "column.valve": {"open": True},
    "camera.acquire": {"camera": "ceta", "exposure_s": 0.1},
    "spectrum.acquire": {"spectrometer": "eels", "exposure_s": 0.1},
}

# What a number is when its name carries no unit.
COUNTS_AND_RATIOS = {"binning", "max_frames", "over_frames", "sequence", "first_sequence", "next_sequence"}
UNITS = re.compile(r"_(m|s|px|rad|v|a|e_per_a2|per_s|fraction|factor)$")


def subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    """All descendants of a class."""
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def text_of(verb: str, **fields: Any) -> str:
    """A command as JSON, with the fields it cannot do without."""
    return json.dumps({"verb": verb, **MINIMAL.get(verb, {}), **fields})


def test_every_command_is_in_the_union_and_in_the_table() -> None:
    commands = set(subclasses(Command))
    assert set(COMMANDS.values()) == commands
    assert set(get_args(get_args(AnyCommand)[0])) == commands


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_parses_to_its_command_and_back(verb: str) -> None:
    command = parse_command(text_of(verb))
    assert type(command) is COMMANDS[verb]
    assert parse_command(command.model_dump_json()) == command
    envelope = CommandEnvelope(command=command, client="test", idempotency_key="12345678")
    assert CommandEnvelope.model_validate_json(envelope.model_dump_json()) == envelope


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_command_says_what_it_is(verb: str) -> None:
    kind = COMMANDS[verb]
    assert kind.command_class in {"observe", "steer", "hazard"}
    assert issubclass(kind.result_type, CommandResult)
    assert kind.__doc__


def test_what_makes_the_instrument_safer_is_never_held_up() -> None:
    urgent = {verb for verb, kind in COMMANDS.items() if kind.urgent}
    assert urgent == {"beam.blank", "scan.abort", "stage.stop"}
    assert all(COMMANDS[verb].command_class == "observe" for verb in urgent)


@pytest.mark.parametrize("verb", COMMANDS)
def test_an_unknown_field_is_refused(verb: str) -> None:
    with pytest.raises(ValidationError):
        parse_command(text_of(verb, dac_value=512))


@pytest.mark.parametrize(
    "text", ['{"verb": "stage.fly"}', '{"verb": 3}', "{}", "[]", "null", "", "{", "[" * 9000]
)
def test_what_is_no_command_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        parse_command(text)


@pytest.mark.parametrize(
    ("verb", "field", "value"),
    [
        ("stage.move", "x_m", 5.1e-3),
        ("stage.move", "z_m", -5.1e-3),
        ("stage.tilt", "alpha_rad", 1.58),
        ("stage.tilt", "beta_rad", 30),
        ("stage.move_by", "dx_m", 5.1e-3),
        ("beam.shift", "y_m", 1.1e-4),
        ("optics.stigmator", "x_m", -1.1e-5),
        ("optics.scan_rotation", "rotation_rad", 3.2),
        ("beam.unblank", "max_duration_s", 0),
        ("beam.unblank", "max_duration_s", 3601),
        ("beam.park", "x_fraction", 1.01),
        ("optics.defocus", "defocus_m", 1.1e-4),
        ("optics.field_of_view", "field_of_view_m", 0),
        ("scan.acquire", "height_px", 15),
        ("scan.acquire", "width_px", 16385),
        ("scan.stream", "dwell_time_s", 1.1),
        ("scan.stream", "max_frames", 0),
        ("scan.stream", "max_frames_per_s", 0),
        ("camera.acquire", "exposure_s", 0),
        ("camera.acquire", "camera", "../etc/passwd"),
        ("camera.acquire", "binning", 0),
        ("session.start", "session", "a/b"),
        ("column.valve", "open", "yes"),
        ("column.valve", "open", 1),
        ("simulation.drift", "field_of_view_factor", 0.1),
    ],
)
def test_a_value_out_of_bounds_is_refused(verb: str, field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        parse_command(text_of(verb, **{field: value}))


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", '"nan"', "1e999"])
@pytest.mark.parametrize("field", ["x_m", "y_m", "z_m"])
def test_what_is_not_a_number_moves_no_stage(field: str, word: str) -> None:
    with pytest.raises(ValidationError):
        parse_command(f'{{"verb": "stage.move", "{field}": {word}}}')


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_the_stage_envelope_holds_for_every_number(x_m: float) -> None:
    text = f'{{"verb": "stage.move", "x_m": {x_m!r}}}'
    if abs(x_m) <= 5e-3:  # false for NaN
        assert parse_command(text).model_dump()["x_m"] == x_m
    else:
        with pytest.raises(ValidationError):
            parse_command(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda v: st.lists(v) | st.dictionaries(st.text(), v),
    )
)
def test_no_text_does_anything_but_parse_or_be_refused(value: Any) -> None:
    for text in (json.dumps(value), json.dumps({"verb": "stage.move", "x_m": value})):
        try:
            command = parse_command(text)
        except ValidationError:
            continue
        assert type(command) is COMMANDS["stage.move"]


def physical_fields() -> Iterator[tuple[type[BaseModel], str]]:
    """Every field of a command or result that is a number."""
    for kind in (*subclasses(Command), *subclasses(CommandResult)):
        for name, field in kind.model_fields.items():
            if re.search(r"\b(float|int)\b", str(field.annotation)) and "Literal" not in str(
                field.annotation
            ):
                yield kind, name


@pytest.mark.parametrize(
    ("kind", "name"), list(physical_fields()), ids=lambda part: getattr(part, "__name__", part)
)
def test_every_physical_quantity_carries_its_unit(kind: type[BaseModel], name: str) -> None:
    assert UNITS.search(name) or name in COUNTS_AND_RATIOS or "unit" in kind.model_fields


def test_the_typed_verbs_send_commands_of_the_vocabulary() -> None:
    sent: list[Command] = []

    class Recording(InstrumentVerbs):
        def execute(self, command: Command) -> CommandResult:
            sent.append(parse_command(command.model_dump_json()))
            return CommandResult()

    scope = Recording()
    scope.state()
    scope.start_session("s1", material="mos2")
    scope.stage()
    scope.move_stage(x_m=1e-6)
    scope.unblank(max_duration_s=2)
    scope.set_defocus(1e-9)
    scope.set_field_of_view(1e-8)
    scope.abort_scan()
    scope.blank()
    scope.stop_session()
    assert [command.verb for command in sent] == [
        "state.get",
        "session.start",
        "stage.get",
        "stage.move",
        "beam.unblank",
        "optics.defocus",
        "optics.field_of_view",
        "scan.abort",
        "beam.blank",
        "session.stop",
    ]
