"""Our flows as Globus Flows takes them: by its rules, with a form that follows the flow's own parameters."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eucentric.cli import main
from eucentric_core import ConfigurationError, load_settings
from eucentric_flows.catalogue import FLOWS
from eucentric_flows.globus_flow import REMOTE_FLOWS, carry_out, export_flow, problems_of
from eucentric_flows.globus_flow._carry_out import take_in_staged

UUID = "4b116d3c-1703-4f8f-9f6f-39921e5864df"


def documents(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    flow = export_flow(FLOWS[name])
    return json.loads(json.dumps(flow.definition)), json.loads(json.dumps(flow.input_schema))


def run_input(name: str, **parameters: object) -> dict[str, Any]:
    place = {"collection": UUID, "path": "/data/"}
    _, schema = documents(name)
    given = {"parameters": parameters, "hub": {"endpoint_id": UUID, "function_id": UUID}}
    more = {"data": ("source", "repository"), "releases": ("hub", "edge")}
    given |= {key: dict.fromkeys(names, place) for key, names in more.items() if key in schema["properties"]}
    return given


@pytest.mark.parametrize("name", REMOTE_FLOWS)
def test_every_flow_keeps_the_rules(name: str) -> None:
    definition, schema = documents(name)
    assert problems_of(definition, schema) == ()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "$ref" not in json.dumps(schema)


def test_what_globus_itself_records_as_valid_keeps_the_rules_and_the_other_breaks_them() -> None:
    from globus_sdk.testing.data.flows import validate_flow

    names = ("source_endpoint_id", "destination_endpoint_id", "source_path", "destination_path")
    properties: dict[str, dict[str, Any]] = {name: {} for name in names}
    schema = {"type": "object", "properties": properties}
    assert problems_of(validate_flow.VALIDATE_SIMPLE_FLOW_DEFINITION, schema) == ()
    assert problems_of(validate_flow.VALIDATE_INVALID_FLOW_DEFINITION, schema) != ()


def test_the_form_is_that_of_the_flow() -> None:
    _, schema = documents("retrain")
    parameters = schema["properties"]["parameters"]
    own = set(FLOWS["retrain"].request.model_fields) - {"trigger_id", "policy", "event", "requested_by"}
    assert set(parameters["properties"]) == own
    assert parameters["required"] == ["model"]
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(run_input("retrain", model="atoms", session="s1", first_sequence=3))
    for wrong in (
        run_input("retrain", session="s1"),
        run_input("retrain", model="../atoms", session="s1"),
        run_input("retrain", model="atoms", session="s1", first_sequence=-1),
        run_input("retrain", model="atoms", session="s1", frames_wanted=3),
    ):
        assert not validator.is_valid(wrong), wrong


def test_the_run_of_globus_names_ours() -> None:
    definition, _ = documents("retrain")
    (task,) = definition["States"]["CarryOut"]["Parameters"]["tasks"]
    assert task["kwargs"]["trigger_id.$"] == "$._context.run_id"
    assert task["kwargs"]["flow"] == "retrain"


@pytest.mark.parametrize("name", sorted(set(FLOWS) - set(REMOTE_FLOWS)))
def test_what_steers_an_instrument_is_not_exported_nor_carried_out(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EUCENTRIC__HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="steers an instrument"):
        export_flow(FLOWS[name])
    with pytest.raises(ConfigurationError, match="may be asked for from elsewhere"):
        carry_out(name, "run-1", {})


BROKEN = {
    "no start": lambda one: one.pop("StartAt"),
    "start elsewhere": lambda one: one.update(StartAt="Nowhere"),
    "no states": lambda one: one.update(States={}),
    "next is missing": lambda one: one["States"]["CarryOut"].update(Next="Nowhere"),
    "next and end": lambda one: one["States"]["CarryOut"].update(End=True),
    "neither next nor end": lambda one: one["States"]["CarryOut"].pop("Next"),
    "unknown field": lambda one: one["States"]["CarryOut"].update(Timeout=3),
    "unknown type": lambda one: one["States"]["Done"].update(Type="Succeed"),
    "no address": lambda one: one["States"]["CarryOut"].update(ActionUrl="http://compute"),
    "no parameters": lambda one: one["States"]["CarryOut"].pop("Parameters"),
    "result nowhere": lambda one: one["States"]["CarryOut"].update(ResultPath="CarryOut"),
    "waits for ever": lambda one: one["States"]["CarryOut"].update(WaitTime=0),
    "never reached": lambda one: one["States"].update(Alone={"Type": "Pass", "End": True}),
    "not in the input": lambda one: one["States"]["CarryOut"]["Parameters"].update({"x.$": "$.hub.nothing"}),
    "result of later": lambda one: one["States"]["MoveData"]["Parameters"].update(
        {"x.$": "$.CarryOut.details"}
    ),
    "choice without next": lambda one: one["States"]["Promoted"]["Choices"][0].pop("Next"),
    "expression elsewhere": lambda one: one["States"]["CarryOut"]["Parameters"].update({"x.=": "a.b + 'c'"}),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_definition_is_found(what: str) -> None:
    definition, schema = documents("retrain")
    BROKEN[what](definition)
    assert problems_of(definition, schema) != ()


@given(st.data())
def test_without_any_one_state_something_is_wrong(data: st.DataObject) -> None:
    definition, schema = deepcopy(documents("retrain"))
    del definition["States"][data.draw(st.sampled_from(sorted(definition["States"])))]
    assert problems_of(definition, schema) != ()


def test_what_was_staged_is_taken_in_documents_last(tmp_path: Path) -> None:
    settings = load_settings(flags={"home": str(tmp_path)}, environment={})
    staged = settings.repository_path / "staged/run-1/deep"
    staged.mkdir(parents=True)
    for name in ("b.h5", "a.h5.json", "a.h5"):
        (staged / name).write_text(name)
    (staged / "link.h5").symlink_to("/etc/passwd")
    assert take_in_staged(settings, "run-1") == 3
    assert sorted(path.name for path in (settings.repository_path / "incoming").iterdir()) == [
        "a.h5",
        "a.h5.json",
        "b.h5",
    ]
    assert take_in_staged(settings, "run-1") == 0


def test_the_command_writes_both_documents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["globus", "export-flow", "retrain", "--to", str(tmp_path)]) == 0
    definition = json.loads((tmp_path / "retrain.definition.json").read_text())
    schema = json.loads((tmp_path / "retrain.input-schema.json").read_text())
    assert (definition, schema) == documents("retrain")
    assert "globus flows create 'Eucentric retrain'" in capsys.readouterr().out
    assert main(["globus", "export-flow", "retrainn", "--to", str(tmp_path)]) == 2
    assert "There is no flow 'retrainn'" in capsys.readouterr().err
