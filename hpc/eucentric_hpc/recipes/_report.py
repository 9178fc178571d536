"""What a recipe says about data before it trains on them."""

from __future__ import annotations

from pydantic import JsonValue

from eucentric_core import FrozenModel

__all__ = ["DataReport"]


class DataReport(FrozenModel):
    """Data that a recipe accepts. What it cannot train on is a `TrainingDataError` instead.

    Attributes:
        plan: sentences: what the recipe is going to do with what.
        warnings: sentences: what is odd about the data, though it can be trained on.
        counts: numbers of what was found, by name.
    """

    plan: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    counts: dict[str, JsonValue] = {}
