"""Packages that only some views need."""

from __future__ import annotations

import importlib
from typing import Any

from eucentric_core import UnsupportedError

__all__ = ["require"]


def require(module: str, extra: str, *, safe: str = "nothing was changed.") -> Any:
    """Import a package that belongs to an extra.

    Args:
        module: its full name.
        extra: of the distribution, that brings it.
        safe: what is safe where it is missing.

    Raises:
        UnsupportedError: it is not installed; says which extra to install.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            f"This needs {error.name}, which is not installed here.",
            safe=safe,
            next_step=f"pip install 'eucentric[{extra}]'",
            extra=extra,
        ) from error
