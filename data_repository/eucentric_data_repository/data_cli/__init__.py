"""`eucentric data`: find, fetch, check, export, describe and keep data sets."""

from __future__ import annotations

from ._app import app

__all__ = ["app"]
