"""From what a person filled in to the frozen request of a flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ValidationError

from eucentric_core import ConfigurationError, explain_problem

from ..catalogue import FLOWS, FlowSpec
from ..policy import nearest

__all__ = ["FILLED_IN", "flow_named", "refused_request", "request_of"]

FILLED_IN = ("policy", "event", "requested_by")
"""Parameters of every flow that nobody fills in: what asks for a run says them itself."""


def flow_named(name: str) -> FlowSpec[Any]:
    """One flow of the catalogue.

    Raises:
        ConfigurationError: there is none of this name.
    """
    if name not in FLOWS:
        meant = nearest(name, FLOWS)
        raise ConfigurationError(
            f"There is no flow {name!r}.",
            safe="nothing was started.",
            next_step=f"did you mean {meant}?" if meant else f"use one of {', '.join(FLOWS)}.",
        )
    return FLOWS[name]


def request_of(spec: FlowSpec[Any], given: Mapping[str, Any], *, by: str | None = None) -> Any:
    """The request with what was given, and the flow's own defaults for the rest, inner ones too.

    Args:
        spec: the flow.
        given: plain values by name of the parameter; those of inner models in a mapping of their own.
        by: who asks.

    Raises:
        pydantic.ValidationError: the values are no good; what is wrong has the place of each.
    """
    wanted = {name: _over_default(spec.request, name, value) for name, value in given.items()}
    wanted.setdefault("trigger_id", uuid4().hex)
    if by is not None:
        wanted["requested_by"] = by[:200]
    return spec.parse(wanted)


def _over_default(model: type[BaseModel], name: str, value: Any) -> Any:
    field = model.model_fields.get(name)
    default = None if field is None else field.default
    if isinstance(default, BaseModel) and isinstance(value, Mapping):
        # What is not named stays as the flow has it.
        return _merged(default.model_dump(), value)
    return value


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        inner = merged.get(name)
        both = isinstance(value, Mapping) and isinstance(inner, Mapping)
        merged[name] = _merged(inner, value) if both else value  # type: ignore[arg-type]
    return merged


def refused_request(
    spec: FlowSpec[Any], error: ValidationError, *, next_step: str | None = None
) -> ConfigurationError:
    """The first thing that is wrong with a request, as one sentence.

    Args:
        spec: the flow.
        error: of `request_of`.
        next_step: for whoever asked in another way than by the command line.
    """
    return ConfigurationError(
        f"Parameters of {spec.name}: {explain_problem(error.errors()[0])}.",
        safe="nothing was started.",
        next_step=next_step or f"`eucentric flows ls {spec.name}` lists the names.",
    )
