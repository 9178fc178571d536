"""What installed packages add under a group of entry points: found by name, imported when it is wanted."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ._errors import EucentricError

__all__ = ["installed_names", "load_installed"]


def installed_names(group: str) -> tuple[str, ...]:
    """Names of what is installed in a group, without importing it."""
    return tuple(sorted({entry.name for entry in entry_points(group=group)}))


def load_installed(
    group: str,
    name: str,
    *,
    kind: str,
    needs: str,
    is_one: Callable[[Any], bool],
    refuse: Callable[[str, str], EucentricError],
) -> Any:
    """Import what is installed under a name.

    Args:
        group: of the entry points.
        name: of the entry point.
        kind: what it is called, with its article: `a recipe`.
        needs: the next step for whom it cannot be imported.
        is_one: whether what was imported is of that kind, and of that name.
        refuse: makes the error of what happened and the next step.

    Raises:
        EucentricError: what `refuse` makes: none or several are installed, it cannot be imported or is none.
    """
    noun = kind.rpartition(" ")[2]
    # One distribution may be found twice, from its source and from its installation.
    found: dict[str, EntryPoint] = {entry.value: entry for entry in entry_points(group=group, name=name)}
    if not found:
        raise refuse(
            f"There is no {noun} {name!r} on this machine; "
            f"there are {', '.join(installed_names(group)) or 'none'}.",
            "install the package that brings it, or run `make install` after an update of the source.",
        )
    if len(found) > 1:
        raise refuse(
            f"Several packages bring {kind} {name!r}: {', '.join(sorted(found))}.", "remove all but one."
        )
    (entry,) = found.values()
    try:
        loaded = entry.load()
    except (ImportError, AttributeError) as error:
        raise refuse(f"The {noun} {name!r} cannot be imported from {entry.value}: {error}.", needs) from error
    if not is_one(loaded):
        raise refuse(
            f"{entry.value} is no {noun} of the name {name!r}.", "report this to whoever made that package."
        )
    return loaded
