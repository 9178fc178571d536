"""Packages that only procedures need, imported when one starts: a control PC without them stays light."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from eucentric_core import UnsupportedError

__all__ = ["needs"]


def needs(module: str, *, extra: str = "procedures") -> Any:
    """The module, imported now.

    Raises:
        UnsupportedError: it is not installed; names the extra that brings it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UnsupportedError(
            f"This needs {module}, which is not installed here ({error}).",
            safe="nothing was exposed or moved for it.",
            next_step=f"pip install 'eucentric[{extra}]'.",
            extra=extra,
        ) from error
