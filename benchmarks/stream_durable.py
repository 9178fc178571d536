"""The part of `stream.py` about frames that are durable: to be filled in by what measures the recorder."""

from __future__ import annotations

from typing import Any

__all__ = ["durable_figures"]


def durable_figures(*, quick: bool) -> dict[str, Any]:
    """Figures of the way from a driver's process to a durable shard, to be reported beside the subscriber's.

    Args:
        quick: measure less.
    """
    del quick
    return {}
