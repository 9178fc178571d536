"""Who is at the other end of a control connection, and what that entitles them to."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ._model import FrozenModel

__all__ = ["Caller", "Role"]


class Role(StrEnum):
    """What somebody may do; each role may do everything the one before it may.

    `viewer` observes and may always make the instrument safe; `scientist` steers; `operator` also uses
    hazardous verbs and takes the lease from a scientist; `admin` takes it from an operator.
    """

    VIEWER = "viewer"
    SCIENTIST = "scientist"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """0 for a viewer, rising."""
        return list(Role).index(self)

    def covers(self, needed: Role) -> bool:
        """Whether this role may do what `needed` may."""
        return self.rank >= needed.rank


class Caller(FrozenModel):
    """The other end of one control connection.

    Args:
        name: from the certificate, or `anonymous` where a loopback channel runs without keys.
        role: from the certificate, or what the service grants to its own machine.
        address: where the connection comes from.
        local: the person is at the service's own machine and has proven it (the console token).
        authenticated: the name was proven by a certificate or by the console token.
        fingerprint: SHA-256 of the certificate, in hexadecimal.
        serial: number of the certificate, in hexadecimal, as the list of revoked ones has it.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    role: Role
    address: str = ""
    local: bool = False
    authenticated: bool = False
    fingerprint: str | None = None
    serial: str | None = None
