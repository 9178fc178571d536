"""Which words are valid at a place of a policy file, and which of them was probably meant."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from ._positions import KeyPath

__all__ = ["all_words", "keys_at", "nearest"]

_ALIKE = 0.6


def nearest(word: str, valid: Iterable[str]) -> str | None:
    """The valid word that is most like it; None if none is."""
    by_lower = {each.lower(): each for each in sorted(valid)}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=_ALIKE)
    return by_lower[found[0]] if found else None


def keys_at(model: type[BaseModel], path: KeyPath, document: Any) -> tuple[str, ...]:
    """Keys that a table may hold.

    Args:
        model: of the whole document.
        path: of the table.
        document: what was read; its `kind` says which of several models a table is of.
    """
    found: Any = model
    for part in path:
        if isinstance(part, str):
            found = _field(_model_of(found, document), part)
        document = _item(document, part)
    table = _model_of(found, document)
    return () if table is None else tuple(table.model_fields)


def all_words(model: type[BaseModel]) -> frozenset[str]:
    """Every key and every fixed word that may stand in a document."""
    seen: set[type[BaseModel]] = set()
    return frozenset(_words(model, seen)) | {"true", "false"}


def _words(annotation: Any, seen: set[type[BaseModel]]) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from (word for word in get_args(annotation) if isinstance(word, str))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in seen:
            seen.add(annotation)
            for name, field in annotation.model_fields.items():
                yield name
                yield from _words(field.annotation, seen)
    else:
        for inner in get_args(annotation):
            yield from _words(inner, seen)


def _field(model: type[BaseModel] | None, name: str) -> Any:
    field = None if model is None else model.model_fields.get(name)
    return None if field is None else field.annotation


def _item(document: Any, part: str | int) -> Any:
    try:
        return document[part]
    except (KeyError, IndexError, TypeError):
        return None


def _model_of(annotation: Any, document: Any) -> type[BaseModel] | None:
    candidates = list(_models(annotation))
    kind = document.get("kind") if isinstance(document, dict) else None
    for candidate in candidates:
        field = candidate.model_fields.get("kind")
        if len(candidates) == 1 or (field is not None and field.default == kind):
            return candidate
    return None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, types.UnionType, tuple, dict):
        for inner in get_args(annotation):
            yield from _models(inner)
