"""Importing a vendor's package when its driver is opened, and saying where it comes from if it is missing."""

from __future__ import annotations

import importlib
from typing import Any

from eucentric_core import UnsupportedError

__all__ = ["import_vendor"]


def import_vendor(module: str, *, driver: str, source: str) -> Any:
    """A module of a vendor's package.

    Args:
        module: its full name.
        driver: the driver that needs it.
        source: where the package comes from and how it is installed.

    Raises:
        UnsupportedError: the package is not installed; names `source`.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnsupportedError(
            f"The driver {driver} needs {module}, which cannot be imported: {error}.",
            safe="no instrument was touched.",
            next_step=f"{source}.",
        ) from error
