"""Names that may stand in a certificate."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from eucentric_core import Identifier

from ._files import refused

__all__ = ["require_hosts", "require_name"]

_IDENTIFIER = TypeAdapter(Identifier)
_HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
# What services call those who have not shown a certificate.
_TAKEN = frozenset({"anonymous", "local"})


def require_name(name: str) -> str:
    """A name for a person, machine or authority; also that of a folder.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        _IDENTIFIER.validate_python(name)
    except ValidationError as error:
        raise refused(
            f"{name!r} is no name for a certificate.",
            "use up to 100 letters, digits, '.', '_' and '-', beginning with a letter or digit.",
        ) from error
    if name.casefold() in _TAKEN:
        raise refused(
            f"{name!r} is what services call callers without a certificate.", "choose another name."
        )
    return name


def require_hosts(hosts: Sequence[str]) -> tuple[str, ...]:
    """The names under which clients reach a server.

    Raises:
        ConfigurationError: there are none, or one is neither a DNS name nor an address.
    """
    if not hosts:
        raise refused(
            "A server's certificate needs the names under which it is reached.",
            "give each DNS name and address with --host.",
        )
    for host in hosts:
        if not _is_host(host):
            raise refused(
                f"{host!r} is neither a DNS name nor an address.",
                "give it as clients write it, without a port.",
            )
    return tuple(dict.fromkeys(hosts))


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # The last label of an address that is none would be digits: 10.0.0.300.
        return bool(_HOST.fullmatch(host)) and not host.rpartition(".")[2].isdigit()
    return True
