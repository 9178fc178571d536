"""The seams of the two channels. Implementations: `_pyro_*` (control), `_zmq_*` (data)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from pydantic import JsonValue

from .._access import Caller

__all__ = ["ControlClient", "ControlServer", "Method", "Methods", "MethodsFor", "SubscriptionMode"]

Method = Callable[[dict[str, JsonValue]], dict[str, JsonValue]]
"""A control method: plain JSON in, plain JSON out; raises `EucentricError`."""

Methods = Mapping[str, Method]
"""The methods a service answers, by name. What is not in the table cannot be called."""

MethodsFor = Callable[[Caller], Methods]
"""The table for one caller: asked once per connection, after the caller has proven who they are."""

SubscriptionMode = Literal["lossless", "newest"]
"""`lossless`: credit-based, slows the source rather than lose a frame. `newest`: a viewer, skips."""


class ControlServer(Protocol):
    """Answers small messages. A slow method never keeps another connection's method waiting."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it is bound to."""
        ...

    def serve(self) -> None:
        """Answer until `stop` is called from another thread."""
        ...

    def stop(self) -> None:
        """Make `serve` return."""
        ...


class ControlClient(Protocol):
    """Calls the methods of a service."""

    def call(self, method: str, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Call a method and return its answer.

        Raises:
            NotAuthorisedError: a certificate is not accepted, or the role does not suffice; nothing ran.
            TransportError: no answer within the time-out, or the connection broke. The method may
                have run: repeat it only with the same idempotency key.
            EucentricError: the method's own error, as its class.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...
