"""Who carries orders out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from eucentric_core import EucentricError

from ..policy import Order

__all__ = ["Notifier", "OrderRefusedError", "OrderTaker", "PlacedOrder"]

Notifier = Callable[[Sequence[str], str, str], None]
"""Sends subject and body through notification blocks."""


class OrderRefusedError(EucentricError):
    """What a policy orders cannot be done, and trying again is vain."""

    code = "order_refused"


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order that has not been carried out yet."""

    policy: str
    occurrence: str
    trigger_id: str
    order: Order


class OrderTaker(Protocol):
    """Carries out what policies decide. The same trigger id may come twice, and is carried out once."""

    def carry_out(self, order: PlacedOrder) -> None:
        """Return only when the order has been taken.

        Raises:
            ServiceUnavailableError: it has not, or it is not known; give it again.
            OrderRefusedError: it will never be.
        """
        ...
