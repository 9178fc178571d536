"""A vendor's metadata as plain JSON: nothing dropped but arrays that are data themselves."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
from pydantic import JsonValue

__all__ = ["plain"]

_MAX_ARRAY_VALUES = 4096
_MAX_DEPTH = 48
_MAX_INTEGER = 2**63


def plain(value: Any, _depth: int = 0) -> JsonValue:
    """Any object of a reader as JSON: numbers and texts as they are, everything else as text."""
    if _depth > _MAX_DEPTH:
        return "nested too deeply, not kept"
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < _MAX_INTEGER else str(value)
    if isinstance(value, float):
        return float(value) if isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, Mapping):
        return {str(key): plain(item, _depth + 1) for key, item in value.items()}
    if hasattr(value, "as_dictionary"):
        return plain(value.as_dictionary(), _depth + 1)
    if isinstance(value, list | tuple | set | frozenset):
        return _many(list(value), _depth)
    if isinstance(value, np.ndarray):
        if value.size > _MAX_ARRAY_VALUES:
            return f"array of {value.size} {value.dtype.name} values, not kept"
        return plain(value.tolist(), _depth + 1)
    return str(value)


def _many(values: list[Any], depth: int) -> JsonValue:
    if len(values) > _MAX_ARRAY_VALUES:
        return f"list of {len(values)} values, not kept"
    return [plain(item, depth + 1) for item in values]
