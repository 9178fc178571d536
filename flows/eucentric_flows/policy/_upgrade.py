"""Older policy files in today's words: each step takes one version to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ._document import SCHEMA_VERSION

__all__ = ["upgraded"]

_Document = dict[str, Any]


def _from_1(document: _Document) -> _Document:
    trigger, action = document.get("trigger"), document.get("action")
    if isinstance(trigger, Mapping) and trigger.get("kind") == "frames":
        # Frames were counted in shards, and a policy had to say how many one holds; now events do.
        kept = {key: value for key, value in trigger.items() if key != "frames_per_shard"}
        document = {**document, "trigger": kept}
    if isinstance(action, Mapping) and "kind" not in action:
        # There was only one.
        document = {**document, "action": {"kind": "retrain", **action}}
    return document


_STEPS: Mapping[int, Callable[[_Document], _Document]] = {1: _from_1}


def upgraded(document: _Document) -> _Document:
    """The document as `Policy` takes it. Without a version it is read as of version 1, which means the same.

    A version that is not known is left as it is, for `Policy` to refuse.
    """
    version = document.get("schema_version", 1)
    while isinstance(version, int) and version in _STEPS:
        document = _STEPS[version](document)
        version += 1
    return {**document, "schema_version": version} if version == SCHEMA_VERSION else document
