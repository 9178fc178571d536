"""What a data set is cited as: who made it, what it is called, who publishes it, under which licence."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, JsonValue, ValidationError

from eucentric_core import ConfigurationError, FrozenModel, explain_problem

__all__ = ["Citation", "Creator", "read_citation"]

_Text = Annotated[str, Field(min_length=1, max_length=10_000)]
_REQUIRED = ("creators", "title", "publisher", "year", "licence")
_MAX_FILE_BYTES = 1 << 20


class Creator(FrozenModel):
    """A person (`Family, Given`) or, with `organisation`, a group."""

    name: _Text
    orcid: Annotated[str, Field(pattern=r"^\d{4}-\d{4}-\d{4}-\d{3}[\dX]$")] | None = None
    affiliation: _Text | None = None
    organisation: bool = False


class Citation(FrozenModel):
    """Everything that DataCite 4.5 requires, and what it recommends.

    Attributes:
        creators: at least one.
        title: of the data set.
        publisher: who holds or will hold it.
        year: of publication.
        licence: its SPDX identifier, such as `CC-BY-4.0`.
        description: in some sentences.
        subjects: keywords.
        doi: if it has one already.
        published: day of publication (ISO 8601); it is the only date in a package that is not the data's own.
        resource_type: in free words, beside DataCite's `Dataset`.
        related: DOIs of articles that describe or use it.
    """

    creators: Annotated[tuple[Creator, ...], Field(min_length=1)]
    title: _Text
    publisher: _Text
    year: Annotated[int, Field(ge=1900, le=2200)]
    licence: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{1,63}$")]
    description: _Text | None = None
    subjects: tuple[_Text, ...] = ()
    doi: Annotated[str, Field(pattern=r"^10\.\d{4,9}/[-._;()/:a-zA-Z0-9]+$")] | None = None
    published: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None
    resource_type: _Text = "Electron microscopy data set"
    related: tuple[Annotated[str, Field(pattern=r"^10\.\d{4,9}/\S+$")], ...] = ()

    @property
    def text(self) -> str:
        """The citation as DataCite recommends to write it."""
        names = "; ".join(creator.name for creator in self.creators)
        where = f" https://doi.org/{self.doi}" if self.doi else ""
        return f"{names} ({self.year}): {self.title}. {self.publisher}. Dataset.{where}"


def read_citation(path: Path | None = None, **given: JsonValue) -> Citation:
    """A citation from a TOML file, from single values, or from both.

    Args:
        path: `creators = [{name = "Doe, Jane", orcid = "..."}]`, `title`, `publisher`, `year`, `licence`, ...
        given: the same names; a value that is not None wins over the file's.

    Raises:
        ConfigurationError: something that is required is missing, or a value is none; says which.
    """
    values = {**_table(path), **{name: value for name, value in given.items() if value is not None}}
    missing = [name for name in _REQUIRED if not values.get(name)]
    if missing:
        raise ConfigurationError(
            f"A citable package needs {', '.join(missing)}.",
            safe="nothing was written.",
            next_step="give it as an option, or in a TOML file (docs/exporting.md has one to begin with).",
            missing=[*missing],
        )
    try:
        return Citation.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(
            "; ".join(explain_problem(dict(problem)) for problem in error.errors()) + ".",
            safe="nothing was written.",
            next_step="correct the citation.",
        ) from error


def _table(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise _unreadable(path, f"it is longer than {_MAX_FILE_BYTES} bytes")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The citation {path} cannot be read: {why}.",
        safe="nothing was written.",
        next_step="correct the file; docs/exporting.md has one to begin with.",
    )
