"""Names in a policy that must exist elsewhere: recipes, their parameters, flows and what they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from eucentric_core import installed_names, lower_first

from .policy import (
    AllTrigger,
    AnyOfTrigger,
    AnyTrigger,
    FlowTrigger,
    KeyPath,
    Policy,
    Problem,
    RetrainAction,
    nearest,
    parse_policy,
    places,
    problem_at,
    problem_error,
    read_policy_text,
)
from .policy.actions import FlowAction

__all__ = ["check_policy", "check_policy_text", "reference_problems"]

_RECIPES = "eucentric.recipes"


def check_policy(path: Path) -> Policy:
    """Read a policy file and look every name in it up on this machine.

    Raises:
        PolicyError: it cannot be read, or names what is not there; `problems` lists all of it.
    """
    return check_policy_text(read_policy_text(path), str(path))


def check_policy_text(text: str, source: str) -> Policy:
    """The same for a text that need not be a file yet.

    Args:
        text: TOML.
        source: what it is called in errors, for example its path.

    Raises:
        PolicyError: it cannot be used; `problems` lists all of it.
    """
    policy = parse_policy(text, source)
    problems = reference_problems(policy, text)
    if problems:
        raise problem_error(source, problems)
    return policy


def reference_problems(policy: Policy, text: str) -> list[Problem]:
    """Names that lead nowhere, in the order of their lines."""
    standing = places(text)
    findings = (*_in_action(policy), *_in_triggers(policy.trigger, ("trigger",)))
    problems = [problem_at(standing, path, reason, meant) for path, reason, meant in findings]
    return sorted(problems, key=lambda problem: (problem.line, problem.column))


_Finding = tuple[KeyPath, str, str | None]


def _in_action(policy: Policy) -> Iterator[_Finding]:
    action = policy.action
    if isinstance(action, RetrainAction):
        yield from _in_recipe(action)
    elif isinstance(action, FlowAction):
        yield from _in_flow(action)


def _in_recipe(action: RetrainAction) -> Iterator[_Finding]:
    known = installed_names(_RECIPES)
    if action.recipe not in known:
        reason = f"no recipe {action.recipe!r} is installed on this machine"
        yield ("action", "recipe"), reason, nearest(action.recipe, known)
        return
    if action.parameters:
        # Only now: some recipes import PyTorch.
        from eucentric_hpc.recipes import recipe_named

        fields = recipe_named(action.recipe).Parameters.model_fields
        yield from _unknown(action.parameters, fields, f"recipe {action.recipe}")


def _in_flow(action: FlowAction) -> Iterator[_Finding]:
    from .catalogue import FLOWS

    if action.flow_name not in FLOWS:
        reason = f"no flow {action.flow_name!r} is registered"
        yield ("action", "flow"), reason, nearest(action.flow_name, FLOWS)
        return
    request = FLOWS[action.flow_name].request
    yield from _unknown(action.parameters, request.model_fields, f"flow {action.flow_name}")
    try:
        request.model_validate(dict(action.parameters))
    except ValidationError as error:
        for problem in error.errors():
            name = problem["loc"][0] if problem["loc"] else ""
            if name in action.parameters and name in request.model_fields:
                yield ("action", "parameters", str(name)), lower_first(problem["msg"]), None


def _unknown(given: Mapping[str, object], known: Mapping[str, object], whose: str) -> Iterator[_Finding]:
    for name in given:
        if name not in known:
            reason = f"is no parameter of {whose}"
            yield ("action", "parameters", name), reason, nearest(name, known)


def _in_triggers(trigger: AnyTrigger, path: KeyPath) -> Iterator[_Finding]:
    if isinstance(trigger, AllTrigger | AnyOfTrigger):
        for place, child in enumerate(trigger.of):
            yield from _in_triggers(child, (*path, "of", place))
    elif isinstance(trigger, FlowTrigger):
        from .catalogue import FLOWS

        if trigger.flow not in FLOWS and trigger.flow != "bootstrap":
            reason = f"no flow {trigger.flow!r} is registered"
            yield (*path, "flow"), reason, nearest(trigger.flow, FLOWS)
