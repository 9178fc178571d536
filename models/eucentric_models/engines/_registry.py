"""Engines by name, from the entry point group `eucentric.engines`."""

from __future__ import annotations

from functools import cache
from typing import cast

from eucentric_core import installed_names, load_installed

from ._errors import unusable_model
from ._protocols import Engine

__all__ = ["engine_named", "engines"]

_GROUP = "eucentric.engines"


def engines() -> tuple[str, ...]:
    """Names of the engines that are installed, without importing them."""
    return installed_names(_GROUP)


@cache
def engine_named(name: str) -> Engine:
    """The engine of this name. Found once: looking through all that is installed takes longer than a frame.

    Raises:
        EngineError: none or several are installed, or it cannot be imported or is none.
    """
    engine = load_installed(
        _GROUP,
        name,
        kind="an engine",
        needs="install what it needs; for the engines of this project: pip install 'eucentric[edge]'.",
        is_one=lambda loaded: isinstance(loaded, Engine) and loaded.name == name,
        refuse=unusable_model,
    )
    return cast("Engine", engine)
