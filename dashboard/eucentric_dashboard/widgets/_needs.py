"""Rooms that a page needs and that may not be installed on this machine."""

from __future__ import annotations

import importlib.util

from eucentric_core import ConfigurationError

__all__ = ["missing_extra", "require_extra"]

_NEEDS = {"hub": ("mlflow", "prefect", "filelock"), "repository": ("sqlalchemy", "alembic")}


def missing_extra(extra: str) -> str | None:
    """The first package of an extra that is not installed here; None if all are."""
    return next((name for name in _NEEDS[extra] if importlib.util.find_spec(name) is None), None)


def require_extra(extra: str, what: str) -> None:
    """Let a page pass whose room is installed.

    Args:
        extra: of the distribution.
        what: the page shows, as the beginning of a sentence.

    Raises:
        ConfigurationError: it is not.
    """
    if (missing := missing_extra(extra)) is None:
        return
    raise ConfigurationError(
        f"{what} cannot be shown on this machine: the package {missing} is not installed.",
        safe="everything else of the dashboard works.",
        next_step=f"install it with `pip install 'eucentric[{extra}]'` and start the dashboard again.",
    )
