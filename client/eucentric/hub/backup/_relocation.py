"""Settings of a hub that comes to lie elsewhere. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

__all__ = ["relocated"]


def relocated(document: Any, old: str, new: str) -> Any:
    """A document of TOML with every path at or below `old` now at or below `new`."""
    if isinstance(document, dict):
        return {key: relocated(value, old, new) for key, value in document.items()}
    if isinstance(document, list):
        return [relocated(value, old, new) for value in document]
    if isinstance(document, str) and document.startswith("/"):
        path = PurePosixPath(document)
        if path.is_relative_to(old):
            return str(PurePosixPath(new) / path.relative_to(old))
    return document
