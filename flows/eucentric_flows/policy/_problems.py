"""What is wrong with a policy file, said by line, column, reason and nearest valid word."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from eucentric_core import lower_first

from ._document import SCHEMA_VERSION, Policy
from ._errors import Problem
from ._positions import KeyPath, Place, places
from ._vocabulary import all_words, keys_at, nearest

__all__ = ["problem_at", "schema_problems", "syntax_problem"]

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_QUOTED = re.compile(r"'([^']*)'")


def syntax_problem(text: str, error: tomllib.TOMLDecodeError) -> Problem:
    """Why a text is no TOML. The parser knows only where it stopped, which is at or behind the fault."""
    said = str(error)
    at = _AT.search(said)
    lines = text.splitlines() or [""]
    if at is None or at.group(1) is None:
        line, column = len(lines), len(lines[-1]) + 1
    else:
        line, column = int(at.group(1)), int(at.group(2))
        if column == 1 and line > 1 and said.startswith(("Unescaped", "Illegal", "Expected")):
            line, column = line - 1, len(lines[line - 2]) + 1
    reason = f"not valid TOML: {lower_first(_AT.sub('', said))}"
    source = lines[min(line, len(lines)) - 1]
    word = next((each for each in _WORD.finditer(source) if each.start() <= column - 1 <= each.end()), None)
    return Problem(
        line=line,
        column=column,
        key="",
        reason=reason,
        nearest=None if word is None else _meant(word.group(), reason),
    )


def _meant(word: str, reason: str) -> str | None:
    meant = nearest(word, all_words(Policy))
    if meant is None or not reason.endswith("invalid value"):
        return None if meant == word else meant
    # A word in the place of a value: true and false stand bare, all others in quotes.
    return meant if meant in ("true", "false") else f'"{meant}"'


def schema_problems(text: str, document: Mapping[str, Any], error: ValidationError) -> tuple[Problem, ...]:
    """What of a document does not fit the schema, in the order of its lines."""
    found = places(text)
    problems = [_problem(document, found, details) for details in error.errors()]
    meant = {problem.nearest for problem in problems if problem.nearest is not None}
    # A key that is missing because it is misspelt is one problem, told where it stands.
    told = [
        problem
        for problem in problems
        if not (problem.reason == "is missing" and problem.key.rpartition(".")[2] in meant)
        # What is left of a list once its bad items are gone is no problem of its own.
        and not any(other.key.startswith(f"{problem.key}[") for other in problems)
    ]
    return tuple(sorted(told, key=lambda problem: (problem.line, problem.column)))


def _problem(document: Mapping[str, Any], found: Mapping[KeyPath, Place], details: ErrorDetails) -> Problem:
    path = _key_path(document, details["loc"])
    context = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            valid = keys_at(Policy, path[:-1], document)
            meant = nearest(str(path[-1]), valid)
            reason = "is no known key" + ("" if meant or not valid else f"; known are {', '.join(valid)}")
            return problem_at(found, path, reason, meant, of_key=True)
        case "missing":
            return problem_at(found, path, "is missing", None)
        case "union_tag_not_found":
            return problem_at(found, (*path, "kind"), "is missing", None)
        case "union_tag_invalid":
            words = _QUOTED.findall(str(context["expected_tags"]))
            return _word(found, (*path, "kind"), str(context["tag"]), "is no known kind", words)
        case "literal_error" if path == ("schema_version",):
            return problem_at(found, path, f"this version of Eucentric reads 1 to {SCHEMA_VERSION}", None)
        case "literal_error":
            words = _QUOTED.findall(str(context["expected"]))
            return _word(found, path, str(details["input"]), f"must be {context['expected']}", words)
        case "unknown_word":
            return _word(found, path, str(details["input"]), details["msg"], context["words"])
        case "contradiction":
            return problem_at(found, (*path, *context["at"]), details["msg"], None)
        case "string_pattern_mismatch":
            return problem_at(
                found, path, f"{details['input']!r} is not of the form {context['pattern']}", None
            )
        case _:
            reason = lower_first(details["msg"].removeprefix("Value error, "))
            return problem_at(found, path, reason, None)


def _word(
    found: Mapping[KeyPath, Place], path: KeyPath, given: str, reason: str, words: Sequence[str]
) -> Problem:
    meant = nearest(given, words)
    if meant is None and words and len(words) <= 16 and not reason.startswith("must be"):
        reason = f"{reason}; known are {', '.join(words)}"
    return problem_at(found, path, reason, meant)


def _key_path(document: Any, loc: Sequence[str | int]) -> KeyPath:
    """The place in the document: pydantic names in between which model of a union it tried."""
    path: list[str | int] = []
    for place, part in enumerate(loc):
        if isinstance(document, Mapping) and document.get("kind") == part and part not in document:
            continue
        if _holds(document, part):
            document = document[part]
        elif place < len(loc) - 1:
            continue
        path.append(part)
    return tuple(path)


def _holds(document: Any, part: str | int) -> bool:
    if isinstance(document, Mapping):
        return part in document
    return isinstance(part, int) and isinstance(document, list) and part < len(document)


def problem_at(
    found: Mapping[KeyPath, Place], path: KeyPath, reason: str, meant: str | None, *, of_key: bool = False
) -> Problem:
    """A problem where it stands; one of a key that is not there, at the table that lacks it.

    Args:
        found: places of the document's keys.
        path: of the key.
        reason: one clause.
        meant: the nearest valid word.
        of_key: whether the key itself is wrong, not its value.
    """
    known = path
    while known and known not in found:
        known = known[:-1]
    place = found.get(known, Place((1, 1), (1, 1)))
    line, column = place.value if known == path and not of_key else place.key
    return Problem(line=line, column=column, key=_dotted(path), reason=reason, nearest=meant)


def _dotted(path: KeyPath) -> str:
    told = ""
    for part in path:
        told += f"[{part}]" if isinstance(part, int) else f"{'.' if told else ''}{part}"
    return told or "top level"
