"""How a service with its data server in the same process gives both channels to other machines."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Annotated, Self

from pydantic import Field, JsonValue

from .._access import Caller, Role
from .._errors import ConfigurationError, NotAuthorisedError
from .._model import FrozenModel
from .._settings import TlsSettings, is_loopback
from ._curve_access import DATA_OPEN
from ._curve_keys import KeyRing, PublicKey
from ._key_keeper import KeyKeeper
from ._protocols import Method, Methods, MethodsFor

__all__ = ["KeyedService"]


class _Wish(FrozenModel):
    client: Annotated[str, Field(min_length=1, max_length=200)]
    public_key: PublicKey


class KeyedService:
    """The keys of a service's data channel, handed out over its control channel. A context manager.

    Give `ring` to the data server and `methods_for` to the control server; while it is entered, the keys of
    revoked certificates are removed.

    Args:
        service: what to call it, as its section of the settings is called.
        host: that both channels listen at.
        credentials: mutual TLS; None: no keys, and this machine only.

    Raises:
        ConfigurationError: the address leaves the machine without credentials, or they cannot be used.
    """

    def __init__(self, service: str, host: str, credentials: TlsSettings | None) -> None:
        if credentials is None and not is_loopback(host):
            raise ConfigurationError(
                f"The {service} was asked to listen on {host} without certificates.",
                safe="no port was opened.",
                next_step=f"set [{service}.tls] (`eucentric certs issue {service} --server --host {host}`), "
                f"or let {service}.host be 127.0.0.1 and reach it through SSH.",
            )
        ring = KeyRing()
        self.ring: KeyRing | None = None if credentials is None else ring
        self._keeper = KeyKeeper(ring, credentials)

    def start(self) -> None:
        """Begin to watch the list of revoked certificates."""
        self._keeper.start()

    def stop(self) -> None:
        """Stop watching."""
        self._keeper.stop()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def methods_for(self, methods: Methods, *, needed: Mapping[str, Role]) -> MethodsFor:
        """The methods and `data.open`: a table for each caller, who may not use all of it.

        Args:
            methods: of the service, by name.
            needed: the least role for those that are not for everybody.

        Raises:
            ValueError: a role is for a method that there is not.
        """
        if unknown := needed.keys() - methods.keys():
            raise ValueError(f"roles for unknown methods: {sorted(unknown)}")

        def for_caller(caller: Caller) -> Methods:
            table = {
                name: method if caller.role.covers(role) else _refusing(name, role, caller)
                for name, method in methods.items()
                for role in [needed.get(name, Role.VIEWER)]
            }
            return {**table, DATA_OPEN: lambda payload: self._open(caller, payload)}

        return for_caller

    def _open(self, caller: Caller, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        wish = _Wish.model_validate(payload)
        return self._keeper.open(caller, wish.public_key).model_dump(mode="json")


def _refusing(method: str, needed: Role, caller: Caller) -> Method:
    def refuse(_payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        raise NotAuthorisedError(
            f"{method} needs the role {needed}; {caller.name} has the role {caller.role}.",
            safe="nothing was changed; observing is for everyone.",
            next_step=f"ask for a certificate with the role {needed} (`eucentric certs issue`), "
            "or somebody who has one.",
            needed_role=needed.value,
            role=caller.role.value,
        )

    return refuse
