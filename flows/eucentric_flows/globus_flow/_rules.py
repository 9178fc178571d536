"""The rules of Globus Flows that can be checked without its service. Pure.

After https://docs.globus.org/api/flows/authoring-flows/ as read on 2026-11-27. `globus flows validate` asks
the service itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = ["problems_of"]

_COMMON = frozenset({"Type", "Comment", "Next", "End"})
_FIELDS = {
    "Action": _COMMON
    | {
        "ActionUrl",
        "ActionScope",
        "Parameters",
        "InputPath",
        "ResultPath",
        "WaitTime",
        "ExceptionOnActionFailure",
        "RunAs",
        "Catch",
    },
    "Choice": frozenset({"Type", "Comment", "Choices", "Default"}),
    "Pass": _COMMON | {"Parameters", "InputPath", "ResultPath"},
    "Wait": _COMMON | {"Seconds", "Timestamp", "SecondsPath", "TimestampPath"},
    "Fail": frozenset({"Type", "Comment", "Cause", "Error"}),
    "ExpressionEval": _COMMON | {"Parameters", "ResultPath"},
}
_STATE_NAME = re.compile(r"[^\s].{0,127}")
_REFERENCE = re.compile(r"\$\.[A-Za-z_][\w]*(\.[A-Za-z_][\w]*|\[\d+\])*")
_MOST_STATES = 100
_MOST_WAIT_S = 365 * 86_400


def problems_of(definition: dict[str, Any], input_schema: dict[str, Any]) -> tuple[str, ...]:
    """What Globus Flows would refuse, in words; empty: nothing that is known here."""
    return tuple(_problems(definition, input_schema))


def _problems(definition: dict[str, Any], input_schema: dict[str, Any]) -> Iterator[str]:
    if unknown := set(definition) - {"StartAt", "States", "Comment", "TimeoutSeconds"}:
        yield f"the definition has fields that Globus does not know: {', '.join(sorted(unknown))}"
    states = definition.get("States")
    if not isinstance(states, dict) or not states or len(states) > _MOST_STATES:
        yield f"States must hold 1 to {_MOST_STATES} states"
        return
    if definition.get("StartAt") not in states:
        yield f"StartAt names no state: {definition.get('StartAt')!r}"
        return
    for name, state in states.items():
        yield from (f"state {name}: {problem}" for problem in _of_state(name, state, states))
    for name in sorted(set(states) - _reached(definition["StartAt"], states)):
        yield f"state {name} is never reached"
    yield from _of_references(definition["StartAt"], states, input_schema)
    if input_schema.get("type") != "object" or "properties" not in input_schema:
        yield "the input schema must describe an object with properties"


def _of_state(name: str, state: dict[str, Any], states: dict[str, Any]) -> Iterator[str]:
    kind = state.get("Type")
    if _STATE_NAME.fullmatch(name) is None:
        yield "its name must have 1 to 128 characters"
    if kind not in _FIELDS:
        yield f"there is no type {kind!r}"
        return
    if unknown := set(state) - _FIELDS[kind]:
        yield f"has fields that {kind} does not know: {', '.join(sorted(unknown))}"
    if kind not in ("Choice", "Fail") and ("Next" in state) == (state.get("End") is True):
        yield "needs either Next or End: true"
    for target in _targets(state):
        if target not in states:
            yield f"goes on to {target!r}, which there is not"
    if kind == "Action":
        yield from _of_action(state)
    if kind == "Choice":
        yield from _of_choice(state)


def _of_action(state: dict[str, Any]) -> Iterator[str]:
    if not str(state.get("ActionUrl", "")).startswith("https://"):
        yield "ActionUrl must begin with https://"
    if ("Parameters" in state) == ("InputPath" in state):
        yield "needs either Parameters or InputPath"
    if not _REFERENCE.fullmatch(str(state.get("ResultPath", "$.x"))):
        yield "ResultPath must be a plain path such as $.Name"
    if not 0 < int(state.get("WaitTime", 300)) <= _MOST_WAIT_S:
        yield f"WaitTime must lie between 1 and {_MOST_WAIT_S} s"


def _of_choice(state: dict[str, Any]) -> Iterator[str]:
    if not state.get("Choices"):
        yield "needs Choices"
    for choice in state.get("Choices", ()):
        compares = set(choice) - {"Variable", "Next", "And", "Or", "Not"}
        if "Next" not in choice or ("Variable" in choice and len(compares) != 1):
            yield "each choice needs Next, a Variable and one comparison"


def _targets(state: dict[str, Any]) -> list[str]:
    targets = [state[key] for key in ("Next", "Default") if key in state]
    targets += [one["Next"] for one in (*state.get("Choices", ()), *state.get("Catch", ())) if "Next" in one]
    return targets


def _reached(start: str, states: dict[str, Any]) -> set[str]:
    found, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name in states and name not in found:
            found.add(name)
            waiting += _targets(states[name])
    return found


def _of_references(start: str, states: dict[str, Any], input_schema: dict[str, Any]) -> Iterator[str]:
    """Every `$.a.b` must be in the input, in the run's context, or the result of a state that came before."""
    for name, state in states.items():
        before = _before(start, name, states)
        results = {str(states[one].get("ResultPath", "")).removeprefix("$.") for one in before}
        for reference in _references(state):
            first, *rest = reference.removeprefix("$.").partition("[")[0].split(".")
            if first == "_context" or first in results:
                continue
            if not _in_schema([first, *rest], input_schema):
                yield f"state {name}: {reference} is neither in the input nor the result of a state before it"


def _before(start: str, name: str, states: dict[str, Any]) -> set[str]:
    return {one for one in _reached(start, states) if one != name and name in _reached(one, states)}


def _references(state: dict[str, Any]) -> Iterator[str]:
    for key, value in state.items():
        if key == "ResultPath":
            continue
        if isinstance(value, dict):
            yield from _references(value)
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, dict):
                    yield from _references(one)
        elif key.endswith(".$") or key in ("Variable", "InputPath"):
            yield str(value)
        elif key.endswith(".="):
            yield from (f"$.{word}" for word in re.findall(r"(?<![\w'])([A-Za-z_]\w*(?:\.\w+)+)", str(value)))


def _in_schema(parts: list[str], schema: dict[str, Any]) -> bool:
    for part in parts:
        properties = schema.get("properties", {})
        if part not in properties:
            return False
        schema = properties[part]
    return True
