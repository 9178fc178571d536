"""From a frozen parameter model to the fields of a form. Pure.

The model's JSON schema says kinds, bounds and defaults; its docstrings say what a field means where its
declaration does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from ._quantities import readable_number, split_unit

__all__ = ["Field", "fields_of"]

Kind = Literal["text", "whole", "number", "switch", "choice", "list", "group", "variants", "json"]

_DEEPEST = 5
_SENTENCE = re.compile(r"(?<=[.;])\s+")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form.

    Attributes:
        path: names from the outermost model inwards.
        kind: `group` holds the fields of an inner model, `variants` those of several kinds of which one is
            chosen; a `list` is of words; `json` is whatever has no simpler form.
        label: for people, with the unit.
        unit: of a number; empty without one.
        required: it has no default.
        nullable: it may be left empty on purpose.
        default: plain value; None where there is none.
        choices: of a `choice` or a `list`; names of the kinds of `variants`.
        help: what it means.
        bounds: in words; empty where there are none.
        children: of a `group`.
        variants: fields of each kind of `variants`.
    """

    path: tuple[str, ...]
    kind: Kind
    label: str
    unit: str = ""
    required: bool = False
    nullable: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    help: str = ""
    bounds: str = ""
    children: tuple[Field, ...] = ()
    variants: Mapping[str, tuple[Field, ...]] | None = None

    @property
    def name(self) -> str:
        """As the model calls it, with dots."""
        return ".".join(self.path)


def fields_of(model: type[BaseModel], *, hidden: Sequence[str] = ()) -> tuple[Field, ...]:
    """The fields of a model, in its order.

    Args:
        model: frozen parameter model.
        hidden: names of outermost fields that nobody fills in.
    """
    schema = model.model_json_schema()
    return _Schema(schema.get("$defs", {})).fields(schema, (), frozenset(hidden))


class _Schema:
    def __init__(self, defs: Mapping[str, Any]) -> None:
        self._defs = defs

    def fields(
        self, schema: Mapping[str, Any], path: tuple[str, ...], hidden: frozenset[str] = frozenset()
    ) -> tuple[Field, ...]:
        required = schema.get("required", ())
        described = str(schema.get("description", ""))
        return tuple(
            self._field(self._open(part), (*path, name), name in required, described)
            for name, part in schema.get("properties", {}).items()
            if name not in hidden and "const" not in part
        )

    def _open(self, part: Mapping[str, Any]) -> dict[str, Any]:
        """The part with what it refers to; what stands beside a reference wins."""
        opened = dict(part)
        reference = opened.pop("$ref", None)
        if reference is None and len(opened.get("allOf", ())) == 1:
            reference = opened.pop("allOf")[0].get("$ref")
        if reference is not None:
            opened = {**self._defs[str(reference).rpartition("/")[2]], **opened}
        return opened

    def _field(self, part: Mapping[str, Any], path: tuple[str, ...], required: bool, around: str) -> Field:
        name = path[-1]
        kinds = [self._open(one) for one in part.get("anyOf", ())]
        nullable = any(one.get("type") == "null" for one in kinds)
        kinds = [one for one in kinds if one.get("type") != "null"]
        main = {**part, **kinds[0]} if len(kinds) == 1 else dict(part)
        words, unit = split_unit(name)
        facts: dict[str, Any] = {
            "path": path,
            "label": _label(words, unit),
            "unit": unit,
            "required": required,
            "nullable": nullable,
            "default": part.get("default"),
            "help": _help(part, name, around),
        }
        if "properties" in main and len(path) < _DEEPEST:
            about = _first_sentence(str(main.get("description", "")))
            facts["help"] = _plain(str(part["description"])) if "description" in part and kinds else about
            return Field(kind="group", children=self.fields(main, path), **facts)
        if "discriminator" in main and len(path) < _DEEPEST:
            return self._variants(main, path, facts)
        if "enum" in main:
            return Field(kind="choice", choices=tuple(map(str, main["enum"])), **facts)
        items = self._open(main.get("items", {}))
        if main.get("type") == "array" and items.get("type") == "string" and len(kinds) <= 1:
            return Field(kind="list", choices=tuple(map(str, items.get("enum", ()))), **facts)
        kind = {"integer": "whole", "number": "number", "boolean": "switch", "string": "text"}.get(
            str(main.get("type")), "json"
        )
        if len(kinds) > 1:
            kind = "json"
        return Field(kind=kind, bounds=_bounds(main, unit), **facts)  # type: ignore[arg-type]

    def _variants(self, part: Mapping[str, Any], path: tuple[str, ...], facts: dict[str, Any]) -> Field:
        found: dict[str, tuple[Field, ...]] = {}
        for kind, reference in part["discriminator"]["mapping"].items():
            schema = self._open({"$ref": reference})
            found[kind] = self.fields(schema, path)
        return Field(kind="variants", choices=tuple(found), variants=found, **facts)


def _label(words: str, unit: str) -> str:
    text = words.replace("_", " ").strip()
    return f"{text[:1].upper()}{text[1:]}{f' ({unit})' if unit else ''}"


def _help(part: Mapping[str, Any], name: str, around: str) -> str:
    if "properties" not in part and "description" in part:
        return _plain(str(part["description"]))
    mark = f"`{name}`"
    told = [sentence.strip() for sentence in _SENTENCE.split(" ".join(around.split())) if mark in sentence]
    return _plain(told[0]) if told else ""


def _first_sentence(text: str) -> str:
    return _plain(_SENTENCE.split(" ".join(text.split()))[0])


def _plain(text: str) -> str:
    return text.replace("`", "").rstrip(";. ")


def _bounds(part: Mapping[str, Any], unit: str) -> str:
    words = []
    for key, said in (
        ("minimum", "at least"),
        ("exclusiveMinimum", "more than"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "less than"),
    ):
        if key in part:
            shown = readable_number(float(part[key]), unit)
            words.append(f"{said} {shown}")
    if "maxLength" in part:
        words.append(f"at most {part['maxLength']} characters")
    return ", ".join(words)
