"""The resident engine: decides about every event once, writes down why, and has it done."""

from __future__ import annotations

from ._answers import Answers
from ._decisions import Decisions
from ._docket import Books, Docket
from ._engine import PolicyEngine
from ._folder import PolicyFolder
from ._history import DecisionView, History, StepView
from ._journal import Journal
from ._orders import Notifier, OrderRefusedError, OrderTaker, PlacedOrder
from ._states import States
from ._store import PolicyStore, policies_file
from ._switches import Switch, Switches

__all__ = [
    "Answers",
    "Books",
    "DecisionView",
    "Decisions",
    "Docket",
    "History",
    "Journal",
    "Notifier",
    "OrderRefusedError",
    "OrderTaker",
    "PlacedOrder",
    "PolicyEngine",
    "PolicyFolder",
    "PolicyStore",
    "States",
    "StepView",
    "Switch",
    "Switches",
    "policies_file",
]
