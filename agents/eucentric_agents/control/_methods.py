"""The control methods of an agent, by name. What is not in this table cannot be called."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

from pydantic import Field, JsonValue

from eucentric_core import Capabilities, CommandEnvelope, FrozenModel
from eucentric_core.transport import Methods

from ._dispatcher import Dispatcher

__all__ = ["control_methods"]

_Client = Annotated[str, Field(min_length=1, max_length=200)]


class _Who(FrozenModel):
    client: _Client


class _Wish(FrozenModel):
    client: _Client
    reason: Annotated[str, Field(max_length=500)]


class _Holding(FrozenModel):
    client: _Client
    epoch: Annotated[int, Field(ge=1)]


def control_methods(dispatcher: Dispatcher, capabilities: Capabilities, state: Callable[[], str]) -> Methods:
    """The methods of an agent over its dispatcher.

    Args:
        dispatcher: carries commands out.
        capabilities: the instrument's.
        state: the agent's own state, `ready` or what is wrong.
    """

    def ping(_payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return {"service": "agent", "version": version("eucentric"), "state": state()}

    def describe(_payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return capabilities.model_dump(mode="json")

    def execute(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return dispatcher.execute(CommandEnvelope.model_validate(payload)).model_dump(mode="json")

    def safe_stop(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        dispatcher.safe_stop(_Who.model_validate(payload).client)
        return {}

    def lease_request(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        wish = _Wish.model_validate(payload)
        return dispatcher.request_lease(wish.client, wish.reason).model_dump(mode="json")

    def lease_renew(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        holding = _Holding.model_validate(payload)
        return dispatcher.renew_lease(holding.client, holding.epoch).model_dump(mode="json")

    def lease_release(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        holding = _Holding.model_validate(payload)
        dispatcher.release_lease(holding.client, holding.epoch)
        return {}

    def lease_status(_payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return dispatcher.lease_status().model_dump(mode="json")

    return {
        "ping": ping,
        "describe": describe,
        "execute": execute,
        "safe_stop": safe_stop,
        "lease.request": lease_request,
        "lease.renew": lease_renew,
        "lease.release": lease_release,
        "lease.status": lease_status,
    }
