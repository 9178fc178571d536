"""What holds an action back: one module per guard."""

from __future__ import annotations

from ._approval import not_approved
from ._budget import node_hours_spent, runs_spent
from ._cooldown import cooling_down
from ._in_flight import one_in_flight
from ._lateness import too_late
from ._objection import Guard, Objection
from ._quiet_hours import quiet, quiet_until
from ._switch import switched_off

__all__ = ["GUARDS", "Guard", "Objection", "quiet_until"]

GUARDS: tuple[Guard, ...] = (
    switched_off,
    too_late,
    one_in_flight,
    cooling_down,
    runs_spent,
    node_hours_spent,
    quiet,
    not_approved,
)
"""In this order the first objection counts: what gives an action up before what puts it off, people last."""
