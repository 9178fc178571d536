"""Policy files: one TOML file per policy."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from ._document import Policy
from ._errors import PolicyError, Problem
from ._problems import schema_problems, syntax_problem
from ._upgrade import upgraded

__all__ = ["load_policies", "load_policy", "parse_policy", "problem_error", "read_policy_text"]

_SAFE = "no policy was changed."


def parse_policy(text: str, source: str) -> Policy:
    """The policy that a text declares, of this or an older schema version.

    Args:
        text: TOML.
        source: what it is called in errors, for example its path.

    Raises:
        PolicyError: not TOML, or a key that is unknown, missing or out of bounds; `problems` lists them.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise problem_error(source, [syntax_problem(text, error)]) from error
    try:
        return Policy.model_validate(upgraded(document))
    except ValidationError as error:
        raise problem_error(source, schema_problems(text, document, error)) from error


def problem_error(source: str, problems: Sequence[Problem]) -> PolicyError:
    """The error that tells the problems of a file; its sentence is about the first."""
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    return PolicyError(
        f"Policy file {source}, {problems[0].sentence}{more}.".replace("?.", "?"),
        safe=_SAFE,
        next_step="correct it, then run `eucentric policy check` on it.",
        problems=[problem.model_dump(mode="json") for problem in problems],
    )


def read_policy_text(path: Path) -> str:
    """The text of a policy file.

    Raises:
        PolicyError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise PolicyError(
            f"Policy file {path} does not exist.", safe=_SAFE, next_step="check the path."
        ) from error
    except OSError as error:
        raise PolicyError(
            f"Policy file {path} cannot be read: {error.strerror}.", safe=_SAFE, next_step="check the path."
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        column = error.start - (error.object.rfind(b"\n", 0, error.start) + 1) + 1
        problem = Problem(line=line, column=column, key="", reason="the text is not UTF-8")
        raise problem_error(str(path), [problem]) from error


def load_policy(path: Path) -> Policy:
    """Read one policy file.

    Raises:
        PolicyError: it cannot be read, or see `parse_policy`.
    """
    return parse_policy(read_policy_text(path), str(path))


def load_policies(folder: Path) -> tuple[Policy, ...]:
    """All `*.toml` policies of a folder, by file name.

    Raises:
        PolicyError: a file is bad, or two policies have one name.
    """
    found: dict[str, Path] = {}
    policies = []
    for path in sorted(folder.glob("*.toml")):
        policy = load_policy(path)
        if policy.name in found:
            raise PolicyError(
                f"Policy files {found[policy.name].name} and {path.name} both define {policy.name!r}.",
                safe=_SAFE,
                next_step="rename one of them.",
            )
        found[policy.name] = path
        policies.append(policy)
    return tuple(policies)
