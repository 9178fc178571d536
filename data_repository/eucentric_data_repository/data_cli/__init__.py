"""`eucentric data`: find, fetch, check, export, describe and keep data sets."""

from __future__ import annotations

from ._app import app
from ._look import dataset_lines

__all__ = ["app", "dataset_lines"]
