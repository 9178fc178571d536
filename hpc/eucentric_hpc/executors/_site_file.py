"""Site files: one TOML file per cluster. A mistake is named with its line and the nearest valid word."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from eucentric_core import ConfigurationError, HpcSettings

from ._site import Site

__all__ = ["SiteError", "load_site", "site_of"]

_MAX_BYTES = 1 << 20
_TABLE = re.compile(r"^\s*\[\s*([A-Za-z0-9_.-]+)\s*\]")
_KEY = re.compile(r"^\s*([A-Za-z0-9_-]+)\s*=")


class SiteError(ConfigurationError):
    """A site file is missing, unreadable, or says what no site can be."""

    code = "configuration.site"


def site_of(settings: HpcSettings) -> Site:
    """The site that the settings name.

    Raises:
        SiteError: none is named, or its file is no good.
    """
    if settings.site_path is None:
        raise SiteError(
            f"The executor {settings.executor!r} needs a site, and none is named.",
            safe="nothing was started.",
            next_step="set hpc.site to a site file, or to the name of one in hpc.sites;"
            " infra/sites has examples.",
        )
    return load_site(settings.site_path)


def load_site(path: Path) -> Site:
    """Read a site file.

    Raises:
        SiteError: names the file, the line, the reason and, where there is one, the nearest valid word.
    """
    text = _read(path)
    try:
        return Site.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise _refuse(path, f"is not TOML: {error}", "correct the named line.") from error
    except ValidationError as error:
        first = error.errors()[0]
        keys = [part for part in first["loc"] if isinstance(part, str)]
        line = _line_of(text, keys)
        place = f"line {line}, {'.'.join(keys)}" if line else f"{'.'.join(keys)}"
        valid = _keys_of(keys[:-1])
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(keys[-1], valid, 1, 0.5)
            reason = "there is no such key" + (f"; did you mean {near[0]!r}?" if near else "")
        elif first["type"] == "missing":
            reason = "is missing"
        else:
            reason = first["msg"][:1].lower() + first["msg"][1:]
        raise _refuse(
            path, f"{place}: {reason}", f"keys here are {', '.join(valid)}.", line=line, key=".".join(keys)
        ) from error


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _refuse(path, "is larger than any site file", "check the path.")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        others = sorted(other.stem for other in path.parent.glob("*.toml"))
        near = difflib.get_close_matches(path.stem, others, 1)
        hint = f"did you mean {near[0]!r}?" if near else "check hpc.site; infra/sites has examples."
        raise _refuse(path, "does not exist", hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise _refuse(path, f"cannot be read: {error}", "check the path and its permissions.") from error


def _refuse(path: Path, problem: str, next_step: str, **details: Any) -> SiteError:
    separator = ", " if details else " "
    return SiteError(
        f"Site file {path}{separator}{problem}.", safe="nothing was started.", next_step=next_step, **details
    )


def _keys_of(tables: Sequence[str]) -> list[str]:
    model: type[BaseModel] = Site
    for name in tables:
        field = model.model_fields.get(name)
        inner = [] if field is None else [*get_args(field.annotation), field.annotation]
        models = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not models:
            break
        model = models[0]
    return list(model.model_fields)


def _line_of(text: str, keys: Sequence[str]) -> int | None:
    """Where a key is written; where it is missing, the table that misses it."""
    places = dict(_places(text))
    for length in range(len(keys), 0, -1):
        if (found := places.get(tuple(keys[:length]))) is not None:
            return found
    return None


def _places(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = tuple(header[1].split("."))
            yield table, number
        elif key := _KEY.match(line):
            yield (*table, key[1]), number
