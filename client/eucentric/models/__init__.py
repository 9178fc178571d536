"""`eucentric models`: look at registered models, and apply one to a file."""

from __future__ import annotations

from ._command import app

__all__ = ["app"]
