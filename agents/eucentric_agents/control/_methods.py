"""The control methods of an agent, by name. What is not in this table cannot be called."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Annotated

from pydantic import Field, JsonValue

from eucentric_core import Caller, Capabilities, CommandEnvelope, FrozenModel
from eucentric_core.transport import DataOpening, Method, Methods, PublicKey

from ._dispatcher import Dispatcher
from ._identity import Identity

__all__ = ["control_methods"]

_LABEL_LENGTH = 200
_TRACE_LENGTH = 64
_Client = Annotated[str, Field(min_length=1, max_length=_LABEL_LENGTH)]
_Payload = dict[str, JsonValue]
OpenData = Callable[[Caller, PublicKey], DataOpening]
"""Lets a caller's key into the data channel; the caller's role was checked before."""
Ask = Callable[[_Payload], _Payload]
AskData = Callable[[str, _Payload], _Payload]
"""Calls a method of the data process; the caller's role was checked before."""


@cache
def _version() -> str:
    # Reading it takes longer than everything else that a ping does.
    return version("eucentric")


class _Who(FrozenModel):
    client: _Client


class _Wish(FrozenModel):
    client: _Client
    reason: Annotated[str, Field(max_length=500)]
    take_over: bool = False


class _DataKey(FrozenModel):
    client: _Client
    public_key: PublicKey


class _Holding(FrozenModel):
    client: _Client
    epoch: Annotated[int, Field(ge=1)]


class _Offer(_Holding):
    to: _Client | None


class _Limits(FrozenModel):
    client: _Client
    limits: dict[str, JsonValue]


def control_methods(
    dispatcher: Dispatcher,
    capabilities: Capabilities,
    state: Callable[[], str],
    open_data: OpenData = lambda _caller, _key: DataOpening(server_key=None),
    ask_data: AskData = lambda _method, _payload: {},
    about: Ask = lambda _payload: {},
    read_audit: Ask = lambda _payload: {},
) -> Callable[[Caller], Methods]:
    """The methods of an agent over its dispatcher: a table for each caller, who may not use all of it.

    Whether they may is decided before a request is read.

    Args:
        dispatcher: carries commands out.
        capabilities: the instrument's.
        state: the agent's own state, `ready` or what is wrong.
        open_data: lets a caller's key into the data channel; by default that has no keys.
        ask_data: calls a method of the data process.
        about: tells of the agent and its machine.
        read_audit: reads the audit log back.
    """

    def for_caller(caller: Caller) -> Methods:
        table = _Table(dispatcher, capabilities, state, open_data, caller)
        handlers: dict[str, Method] = {
            "ping": table.ping,
            "about": about,
            "audit.read": read_audit,
            "describe": table.describe,
            "data.open": table.data_open,
            "data.status": lambda _payload: ask_data("data.status", {}),
            "execute": table.execute,
            "safe_stop": table.safe_stop,
            "lease.request": table.lease_request,
            "lease.renew": table.lease_renew,
            "lease.present": table.lease_present,
            "lease.release": table.lease_release,
            "lease.hand_over": table.lease_hand_over,
            "lease.status": table.lease_status,
            "shipping.status": lambda _payload: ask_data("shipping.status", {}),
            "shipping.retry": lambda payload: ask_data("shipping.retry", {"name": payload.get("name")}),
            "flight_check.start": lambda _payload: ask_data("flight_check.start", {}),
            "flight_check.status": lambda _payload: ask_data("flight_check.status", {}),
            "interlocks.show": table.interlocks_show,
            "interlocks.tighten": table.interlocks_tighten,
        }
        return {name: _admitted(dispatcher, caller, name, handler) for name, handler in handlers.items()}

    return for_caller


def _admitted(dispatcher: Dispatcher, caller: Caller, method: str, handler: Method) -> Method:
    def call(payload: _Payload) -> _Payload:
        label = payload.get("client")
        known = isinstance(label, str) and 0 < len(label) <= _LABEL_LENGTH and label.isprintable()
        dispatcher.admit(Identity(caller, str(label) if known else caller.name), method)
        return handler(payload)

    return call


class _Table:
    """One caller's view of the dispatcher: plain JSON in, plain JSON out."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        capabilities: Capabilities,
        state: Callable[[], str],
        open_data: OpenData,
        caller: Caller,
    ) -> None:
        self._dispatcher = dispatcher
        self._capabilities = capabilities
        self._state = state
        self._open_data = open_data
        self._caller = caller

    def ping(self, _payload: _Payload) -> _Payload:
        state = self._dispatcher.trouble or self._state()
        return {"service": "agent", "version": _version(), "state": state}

    def describe(self, _payload: _Payload) -> _Payload:
        return self._capabilities.model_dump(mode="json")

    def data_open(self, payload: _Payload) -> _Payload:
        wish = _DataKey.model_validate(payload)
        return self._open_data(self._caller, wish.public_key).model_dump(mode="json")

    def execute(self, payload: _Payload) -> _Payload:
        envelope = CommandEnvelope.model_validate(payload)
        # Cut rather than refused: no command that makes things safe fails for want of a shorter name.
        trace_id = (envelope.trace_id or "")[:_TRACE_LENGTH] or None
        envelope = envelope.model_copy(update={"trace_id": trace_id})
        return self._dispatcher.execute(envelope, self._caller).model_dump(mode="json")

    def safe_stop(self, payload: _Payload) -> _Payload:
        self._dispatcher.safe_stop(self._identity(_Who.model_validate(payload).client))
        return {}

    def lease_request(self, payload: _Payload) -> _Payload:
        wish = _Wish.model_validate(payload)
        who = self._identity(wish.client)
        grant = self._dispatcher.leases.request(who, wish.reason, take_over=wish.take_over)
        return grant.model_dump(mode="json")

    def lease_renew(self, payload: _Payload) -> _Payload:
        holding = _Holding.model_validate(payload)
        grant = self._dispatcher.leases.renew(self._identity(holding.client), holding.epoch)
        return grant.model_dump(mode="json")

    def lease_present(self, payload: _Payload) -> _Payload:
        holding = _Holding.model_validate(payload)
        grant = self._dispatcher.leases.present(self._identity(holding.client), holding.epoch)
        return grant.model_dump(mode="json")

    def lease_release(self, payload: _Payload) -> _Payload:
        holding = _Holding.model_validate(payload)
        self._dispatcher.leases.release(self._identity(holding.client), holding.epoch)
        return {}

    def lease_hand_over(self, payload: _Payload) -> _Payload:
        offer = _Offer.model_validate(payload)
        status = self._dispatcher.leases.hand_over(self._identity(offer.client), offer.epoch, offer.to)
        return status.model_dump(mode="json")

    def lease_status(self, _payload: _Payload) -> _Payload:
        return self._dispatcher.leases.status().model_dump(mode="json")

    def interlocks_show(self, _payload: _Payload) -> _Payload:
        return self._dispatcher.interlocks.show()

    def interlocks_tighten(self, payload: _Payload) -> _Payload:
        wish = _Limits.model_validate(payload)
        return self._dispatcher.interlocks.tighten(self._identity(wish.client), wish.limits)

    def _identity(self, label: str) -> Identity:
        return Identity(self._caller, label)
