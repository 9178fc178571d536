"""Failures that only an instrument has, as every machine knows them."""

from __future__ import annotations

from eucentric_core import MoveHaltedError, ScanAbortedError

__all__ = ["MoveHaltedError", "ScanAbortedError"]
