"""Policies can be switched off, one by one or all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._objection import Objection

if TYPE_CHECKING:
    from .._circumstances import Circumstances
    from .._document import Policy

__all__ = ["switched_off"]


def switched_off(policy: Policy, circumstances: Circumstances) -> Objection | None:
    """See `Guard`."""
    return None if circumstances.switched_off is None else Objection(circumstances.switched_off)
