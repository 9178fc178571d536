"""Engines by name, from the entry point group `eucentric.engines`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from ._errors import unusable_model
from ._protocols import Engine

__all__ = ["engine_named", "engines"]

_GROUP = "eucentric.engines"


def engines() -> tuple[str, ...]:
    """Names of the engines that are installed, without importing them."""
    return tuple(sorted({entry.name for entry in entry_points(group=_GROUP)}))


def engine_named(name: str) -> Engine:
    """The engine of this name.

    Raises:
        EngineError: none or several are installed, or it cannot be imported or is none.
    """
    # One distribution may be found twice, from its source and from its installation.
    found: dict[str, EntryPoint] = {entry.value: entry for entry in entry_points(group=_GROUP, name=name)}
    if not found:
        raise unusable_model(
            f"There is no engine {name!r} on this machine; there are {', '.join(engines()) or 'none'}.",
            "install the package that brings it, or run `make install` after an update of the source.",
        )
    if len(found) > 1:
        raise unusable_model(
            f"Several packages bring an engine {name!r}: {', '.join(sorted(found))}.", "remove all but one."
        )
    (entry,) = found.values()
    try:
        engine = entry.load()
    except (ImportError, AttributeError) as error:
        raise unusable_model(
            f"The engine {name!r} cannot be imported from {entry.value}: {error}.",
            "install what it needs; for the engines of this project: pip install 'eucentric[edge]'.",
        ) from error
    if not isinstance(engine, Engine) or engine.name != name:
        raise unusable_model(
            f"{entry.value} is no engine of the name {name!r}.", "report this to whoever made that package."
        )
    return engine
