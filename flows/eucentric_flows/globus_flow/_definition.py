"""From a flow's own declaration to a definition that Globus Flows runs. Pure.

States and their fields: https://docs.globus.org/api/flows/authoring-flows/. Globus moves files and calls one
function at the hub's Compute endpoint; what a flow does stays in the flow.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from pydantic import JsonValue

from eucentric_core import ConfigurationError, FrozenModel

from ..catalogue import FlowSpec
from ..desk import FILLED_IN

__all__ = ["COMPUTE_URL", "REMOTE_FLOWS", "TRANSFER_URL", "ExportedFlow", "export_flow"]

TRANSFER_URL = "https://transfer.actions.globus.org/transfer"
COMPUTE_URL = "https://compute.actions.globus.org/v3"

_UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_FILLED_IN = ("trigger_id", *FILLED_IN)
REMOTE_FLOWS = ("retrain", "evaluate", "publish", "rollback", "install", "ingest", "archive")
"""Flows that may be ordered from elsewhere: they steer no instrument."""
_TAKES_DATA = frozenset({"retrain", "ingest"})
_LEAVES_RELEASES = frozenset({"retrain", "publish", "rollback"})
_DAY_S = 86_400


class ExportedFlow(FrozenModel):
    """What `globus flows create` takes.

    Args:
        title: of the flow.
        description: of what it does.
        definition: states.
        input_schema: JSON Schema of what a run is given; Globus's page makes a form of it.
    """

    title: str
    description: str
    definition: dict[str, JsonValue]
    input_schema: dict[str, JsonValue]


def export_flow(spec: FlowSpec[Any]) -> ExportedFlow:
    """A flow as Globus Flows takes it.

    Where the flow learns from data, they are first moved into `staged/<run>` of the repository's root, from
    where the hub takes them in whole. Where it may release a model, and it did, the releases are moved to an
    edge's collection. The run's id is the trigger id: a run that Globus resumes is carried out once.

    Raises:
        ConfigurationError: the flow steers an instrument; that is not for a service elsewhere to order.
    """
    if spec.name not in REMOTE_FLOWS:
        raise ConfigurationError(
            f"The flow {spec.name} steers an instrument: it is not exported.",
            safe="nothing was written.",
            next_step=f"export one of {', '.join(REMOTE_FLOWS)}.",
        )
    states: dict[str, Any] = {}
    data, releases = spec.name in _TAKES_DATA, spec.name in _LEAVES_RELEASES
    if data:
        states["MoveData"] = _transfer(
            "Shards and their documents, into a folder of this run beside the repository's own",
            source="$.data.source",
            destination="$.data.repository",
            result="$.MoveData",
            following="CarryOut",
            # Two runs at a time must not meet in one folder.
            destination_path={
                "destination_path.=": "data.repository.path + 'staged/' + _context.run_id + '/'"
            },
        )
    states["CarryOut"] = {
        "Comment": f"{spec.summary} Carried out by the hub's flow service.",
        "Type": "Action",
        "ActionUrl": COMPUTE_URL,
        "Parameters": {
            "endpoint_id.$": "$.hub.endpoint_id",
            "tasks": [
                {
                    "function_id.$": "$.hub.function_id",
                    "kwargs": {
                        "flow": spec.name,
                        "trigger_id.$": "$._context.run_id",
                        "parameters.$": "$.parameters",
                        "staged": data,
                    },
                }
            ],
        },
        "ResultPath": "$.CarryOut",
        "ExceptionOnActionFailure": True,
        "WaitTime": 7 * _DAY_S,
        "Next": "Promoted" if releases else "Done",
    }
    if releases:
        states["Promoted"] = {
            "Comment": "Was another model released?",
            "Type": "Choice",
            "Choices": [
                {
                    "Variable": "$.CarryOut.details.result[0].released",
                    "BooleanEquals": True,
                    "Next": "MoveReleases",
                }
            ],
            "Default": "Done",
        }
        states["MoveReleases"] = _transfer(
            "Signed releases, to where an edge reads them; it verifies them itself",
            source="$.releases.hub",
            destination="$.releases.edge",
            result="$.MoveReleases",
            following="Done",
        )
    states["Done"] = {"Comment": "What the flow said is in CarryOut.", "Type": "Pass", "End": True}
    return ExportedFlow(
        title=f"Eucentric {spec.name}",
        description=spec.summary,
        definition={"Comment": spec.summary, "StartAt": next(iter(states)), "States": states},
        input_schema=_input_schema(spec, data=data, releases=releases),
    )


def _transfer(
    comment: str,
    *,
    source: str,
    destination: str,
    result: str,
    following: str,
    destination_path: dict[str, str] | None = None,
) -> dict[str, Any]:
    return {
        "Comment": comment,
        "Type": "Action",
        "ActionUrl": TRANSFER_URL,
        "Parameters": {
            "source_endpoint.$": f"{source}.collection",
            "destination_endpoint.$": f"{destination}.collection",
            "verify_checksum": True,
            "DATA": [
                {
                    "source_path.$": f"{source}.path",
                    **(destination_path or {"destination_path.$": f"{destination}.path"}),
                    "recursive": True,
                }
            ],
        },
        "ResultPath": result,
        "ExceptionOnActionFailure": True,
        "WaitTime": _DAY_S,
        "Next": following,
    }


def _input_schema(spec: FlowSpec[Any], *, data: bool, releases: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "parameters": _parameters(spec),
        "hub": _object(
            "The hub's Compute endpoint, and the function that it allows",
            {
                "endpoint_id": {"type": "string", "pattern": _UUID, "title": "Compute endpoint of the hub"},
                "function_id": {
                    "type": "string",
                    "pattern": _UUID,
                    "title": "As `eucentric globus register-function` printed it",
                },
            },
        ),
    }
    if data:
        properties["data"] = _object(
            "Where shards come from, and the repository's root",
            {"source": _place("Folder with shards"), "repository": _place("The repository's root")},
        )
    if releases:
        properties["releases"] = _object(
            "Where signed releases lie at the hub, and where the edge reads them",
            {"hub": _place("The hub's releases"), "edge": _place("What the edge reads")},
        )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_object(spec.summary, properties),
    }


def _parameters(spec: FlowSpec[Any]) -> dict[str, Any]:
    """The flow's frozen model, without what the run fills in and without references."""
    schema = deepcopy(spec.request.model_json_schema())
    definitions = schema.pop("$defs", {})
    for name in _FILLED_IN:
        schema["properties"].pop(name, None)
    required = [name for name in schema.pop("required", []) if name not in _FILLED_IN]
    inlined: dict[str, Any] = _inlined(schema, definitions)
    return {**inlined, "required": required, "title": f"Parameters of {spec.name}"}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    # A discriminator refers to definitions that are no longer there, and checks nothing.
    plain = {key: value for key, value in schema.items() if key not in ("$ref", "discriminator")}
    result = {key: _inlined(value, definitions) for key, value in plain.items()}
    reference = schema.get("$ref")
    if reference is None:
        return result
    return {**_inlined(definitions[str(reference).rpartition("/")[2]], definitions), **result}


def _object(title: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "title": title,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _place(title: str) -> dict[str, Any]:
    return _object(
        title,
        {
            "collection": {"type": "string", "pattern": _UUID, "title": "Collection"},
            "path": {"type": "string", "pattern": "^/.*/$", "title": "Folder in it, with / at both ends"},
        },
    )
