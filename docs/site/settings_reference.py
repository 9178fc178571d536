"""The table of settings, from the model that checks them."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from typing import Any

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from eucentric_core import Settings

__all__ = ["page"]

_ABOUT = """\
One TOML file for each machine. Environment variables (`EUCENTRIC__AGENT__CONTROL_PORT=4310`) win over
the file, options of a command over both. A key that is unknown or out of bounds stops the start and is
named. `eucentric config show --origin` says what counts on a machine, and where it comes from. This page
is made from the model that checks them."""

_KINDS = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "yes or no",
    "Path": "path",
    "time": "time of day",
    "tuple": "list",
    "dict": "table",
}

_UNITS = {
    "s": "s",
    "bytes": "bytes",
    "m": "m",
    "ms": "ms",
    "utc": "UTC",
    "port": "port",
    "hours": "h",
    "days": "d",
    "fraction": "0 to 1",
    "share": "0 to 1",
}
_BOUNDS = ((annotated_types.Ge, "≥", "ge"), (annotated_types.Gt, ">", "gt"), (annotated_types.Le, "≤", "le"),
           (annotated_types.Lt, "<", "lt"))  # fmt: skip


def page() -> str:
    """The page as Markdown."""
    return "\n".join(("# Settings", "", _ABOUT, "", *_section(Settings, "")))


def _section(model: type[BaseModel], prefix: str) -> Iterator[str]:
    own = {name: field for name, field in model.model_fields.items() if _nested(field) is None}
    nested = {name: field for name, field in model.model_fields.items() if _nested(field) is not None}
    if prefix:
        yield f"## `[{prefix}]`"
        yield ""
        if told := inspect.getdoc(model):
            yield from (told, "")
    if own:
        yield "| key | kind | default | bounds | unit |"
        yield "|---|---|---|---|---|"
        yield from (_row(name, field) for name, field in own.items())
        yield ""
    for name, field in nested.items():
        child = _nested(field)
        if child is not None:
            yield from _section(child, f"{prefix}.{name}".lstrip("."))


def _nested(field: FieldInfo) -> type[BaseModel] | None:
    for kind in (field.annotation, *typing.get_args(field.annotation)):
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            return kind
    return None


def _row(name: str, field: FieldInfo) -> str:
    cells = (f"`{name}`", _kind(field.annotation), _default(field), ", ".join(_bounds(field)), _unit(name))
    return "| " + " | ".join(cell.replace("|", "or") for cell in cells) + " |"


def _kind(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(annotation))
    parts = [part for part in typing.get_args(annotation) if part is not type(None)]
    if typing.get_origin(annotation) is typing.Annotated:
        return _kind(parts[0])
    if inspect.isclass(annotation):
        return _KINDS.get(annotation.__name__, annotation.__name__)
    origin = typing.get_origin(annotation)
    if origin in (tuple, list):
        return f"list of {_kind(parts[0])}"
    if origin is dict:
        return "table"
    return " or ".join(dict.fromkeys(_kind(part) for part in parts)) if parts else "text"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "none" if field.is_required() else "computed"
    if field.default is None:
        return "left out"
    return f"`{field.default}`" if field.default not in ((), {}) else "empty"


def _bounds(field: FieldInfo) -> Iterator[str]:
    for item in _metadata(field):
        for kind, sign, attribute in _BOUNDS:
            if isinstance(item, kind):
                yield f"{sign} {getattr(item, attribute):,}".replace(",", " ")


def _metadata(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    waiting = [field.annotation]
    while waiting:
        annotation = waiting.pop()
        for part in getattr(annotation, "__metadata__", ()):
            yield from part.metadata if isinstance(part, FieldInfo) else (part,)
        waiting += [part for part in typing.get_args(annotation) if not isinstance(part, str)]


def _unit(name: str) -> str:
    return _UNITS.get(name.rpartition("_")[2], "")
