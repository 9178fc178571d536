"""Between the values of a form and the text of a policy file. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eucentric_flows.policy import Policy, Problem

from ...forms import Field

__all__ = ["policy_toml", "problem_lines", "problems_at_fields"]


def policy_toml(values: Mapping[str, Any], fields: Sequence[Field]) -> str:
    """A policy file that says what was filled in and leaves out what is a default anyway.

    Args:
        values: of the form, by name, inner ones in mappings of their own.
        fields: of the form.
    """
    # Late: only a hub has it, and only a hub shows this page.
    import tomlkit

    defaults = {field.path[0]: field.default for field in fields}
    document = tomlkit.document()
    document["schema_version"] = Policy.model_fields["schema_version"].default
    tables = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            default = defaults.get(name)
            kept = _less(value, default if isinstance(default, Mapping) else {})
            if kept or name == "trigger":
                tables.append((name, kept))
        elif value not in (None, defaults.get(name)):
            document[name] = value
    for name, kept in tables:
        document[name] = kept
    return tomlkit.dumps(document)


def _less(value: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    same_kind = value.get("kind") == default.get("kind")
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        usual = default.get(name) if same_kind else None
        if name == "kind":
            kept[name] = inner
        elif isinstance(inner, Mapping):
            less = _less(inner, usual if isinstance(usual, Mapping) else {})
            if less:
                kept[name] = less
        elif inner is not None and inner != usual and inner not in ([], ""):
            kept[name] = inner
    return kept


def problem_lines(text: str, problems: Sequence[Problem]) -> list[tuple[Problem, str]]:
    """Each problem with the line of the text that it is about."""
    lines = text.splitlines()
    return [(one, lines[one.line - 1] if one.line <= len(lines) else "") for one in problems]


def problems_at_fields(problems: Sequence[Problem], names: Sequence[str]) -> dict[str, str]:
    """By name of the field: what is wrong with it. What is about no field on the page is left out."""
    found: dict[str, str] = {}
    for problem in problems:
        key = problem.key.partition("[")[0]
        name = next((one for one in names if one == key), None)
        if name is None:
            name = max((one for one in names if key.startswith(f"{one}.")), key=len, default=None)
        if name is not None:
            meant = f"; did you mean {problem.nearest}?" if problem.nearest else ""
            found.setdefault(name, f"{problem.reason}{meant}")
    return found
