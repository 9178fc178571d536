"""What goes with a frame besides its own header: where it came from, and all that the vendor's file says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import JsonValue

__all__ = ["fitted"]

_LONGEST_KEPT = (16384, 4096, 1024, 256, 64)
_Place = tuple[dict[str, Any], str]


def fitted(metadata: dict[str, JsonValue], max_bytes: int) -> dict[str, JsonValue]:
    """Metadata that fit: whole if they do, otherwise the longest lists and texts give way to a note.

    Args:
        metadata: JSON; its part `source` is never touched.
        max_bytes: most bytes as JSON text.

    Returns:
        A copy, in which `source.metadata_shortened` says whether something was left out.
    """
    copy: dict[str, Any] = json.loads(json.dumps(metadata))
    copy.setdefault("source", {})["metadata_shortened"] = False
    if _length(copy) <= max_bytes:
        return copy
    copy["source"]["metadata_shortened"] = True
    for longest in _LONGEST_KEPT:
        for holder, key in list(_leaves(copy)):
            value = holder[key]
            length = _length(value)
            if length > longest:
                holder[key] = f"{type(value).__name__} of {length} bytes, not kept"
        if _length(copy) <= max_bytes:
            return copy
    for part in sorted((key for key in copy if key != "source"), key=lambda key: -_length(copy[key])):
        copy[part] = {"not_kept": f"{_length(copy[part])} bytes"}
        if _length(copy) <= max_bytes:
            break
    return copy


def _leaves(tree: dict[str, Any], *, top: bool = True) -> Iterator[_Place]:
    for key, value in tree.items():
        if top and key == "source":
            continue
        if isinstance(value, dict):
            yield from _leaves(value, top=False)
        elif isinstance(value, list | str):
            yield tree, key


def _length(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())
