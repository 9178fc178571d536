"""`name=value` on the command line."""

from __future__ import annotations

import json
from typing import Any

from eucentric_core import CommandRefusedError

__all__ = ["pair"]


def pair(text: str, *, example: str = "x_m=1e-6") -> tuple[str, Any]:
    """Name and value; what is no JSON is text.

    Raises:
        CommandRefusedError: there is no equals sign.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandRefusedError(
            f"{text!r} is not name=value.",
            safe="nothing was sent.",
            next_step=f"write for instance {example}.",
        )
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
