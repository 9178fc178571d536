"""From what was typed into the search to a query. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from eucentric_core import ConfigurationError, explain_problem
from eucentric_data_repository import SearchQuery

__all__ = ["query_of"]

_DAY = "%Y-%m-%d"


def query_of(typed: Mapping[str, str | None], *, limit: int, offset: int = 0) -> SearchQuery:
    """What is looked for; fields that were left empty do not matter.

    Args:
        typed: `text`, `sample`, `material`, `instrument`, `session`, `tags` (separated by commas), `since`
            and `until` (days, UTC, both included), `kind` (`measured`, `simulated`), `order`.
        limit: most data sets on a page.
        offset: how many to leave out before it.

    Raises:
        ConfigurationError: something that was typed cannot be looked for.
    """
    words = {name: (value or "").strip() for name, value in typed.items()}
    given: dict[str, Any] = {
        name: words[name]
        for name in ("text", "sample", "material", "instrument", "session", "order")
        if words.get(name)
    }
    given["tags"] = tuple(tag.strip() for tag in words.get("tags", "").split(",") if tag.strip())
    if words.get("since"):
        given["since"] = _day(words["since"])
    if words.get("until"):
        given["until"] = _day(words["until"]) + timedelta(days=1)
    if words.get("kind") in ("measured", "simulated"):
        given["simulated"] = words["kind"] == "simulated"
    try:
        return SearchQuery.model_validate({**given, "limit": limit, "offset": offset})
    except ValidationError as error:
        raise ConfigurationError(
            "; ".join(explain_problem(dict(problem)) for problem in error.errors()) + ".",
            safe="nothing was searched.",
            next_step="correct the field.",
        ) from error


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, _DAY).replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigurationError(
            f"{text[:40]!r} is no day.", safe="nothing was searched.", next_step="write it as 2026-03-01."
        ) from error
