"""Between what stands in a field and the plain value that a model takes. Pure."""

from __future__ import annotations

import json
from typing import Any

from ._fields import Field
from ._quantities import parse_number, readable_number

__all__ = ["plain_value", "shown_value"]


def plain_value(field: Field, typed: Any) -> Any:
    """The value of a simple field, from what was typed or chosen; None where it was left empty.

    Raises:
        ValueError: it is no value of this kind; says why, as a clause.
    """
    if field.kind == "switch":
        return bool(typed)
    if field.kind == "list":
        words = typed if isinstance(typed, list) else str(typed or "").split(",")
        return [str(word).strip() for word in words if str(word).strip()]
    text = "" if typed is None else str(typed).strip()
    if not text:
        return None
    if field.kind == "whole":
        number = parse_number(text, field.unit)
        if number != int(number):
            raise ValueError("is no whole number")
        return int(number)
    if field.kind == "number":
        return parse_number(text, field.unit)
    if field.kind == "json":
        try:
            return json.loads(text)
        except ValueError as error:
            raise ValueError(f"is no JSON: {error}") from error
    return text


def shown_value(field: Field, value: Any) -> Any:
    """What stands in a simple field that has this plain value."""
    if field.kind == "switch":
        return bool(value)
    if field.kind == "list":
        words = [str(word) for word in value or ()]
        return words if field.choices else ", ".join(words)
    if value is None:
        return ""
    if field.kind in ("whole", "number"):
        return readable_number(float(value), field.unit)
    return json.dumps(value) if field.kind == "json" else str(value)
