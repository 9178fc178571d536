"""The product in small: the whole loop on one machine, everything real but the sample."""

from __future__ import annotations

from ._command import demo

__all__ = ["demo"]
