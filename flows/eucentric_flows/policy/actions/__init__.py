"""What a policy does: one module per kind of action."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ._base import Action, Cause, FlowOrder, NotifyOrder, Order
from ._evaluate import EvaluateAction
from ._flow_action import FlowAction
from ._notify import NotifyAction
from ._promote import PromoteAction
from ._retrain import RetrainAction
from ._retrain_request import RetrainRequest
from ._roll_back import RollBackAction
from ._run import RunAction

__all__ = [
    "Action",
    "AnyAction",
    "Cause",
    "EvaluateAction",
    "FlowAction",
    "FlowOrder",
    "NotifyAction",
    "NotifyOrder",
    "Order",
    "PromoteAction",
    "RetrainAction",
    "RetrainRequest",
    "RollBackAction",
    "RunAction",
]

AnyAction = Annotated[
    RetrainAction | EvaluateAction | PromoteAction | RollBackAction | NotifyAction | RunAction,
    Field(discriminator="kind"),
]
"""Every kind of action, told apart by `kind`."""
