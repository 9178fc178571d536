"""Moving files by Globus Transfer: the mover, and the account behind it. Imports globus-sdk."""

from __future__ import annotations

from .._options import MoverOptions
from ._account import SECRET_VARIABLE, GlobusAccount, HeldToken
from ._address import GlobusAddress
from ._mover import GlobusMover
from ._service import TransferService

__all__ = [
    "SECRET_VARIABLE",
    "GlobusAccount",
    "GlobusAddress",
    "GlobusMover",
    "HeldToken",
    "TransferService",
    "open_globus",
]


def open_globus(url: str, options: MoverOptions) -> GlobusMover:
    """The mover for an address `globus://COLLECTION/base/path`.

    Raises:
        ConfigurationError: the address, a setting or the secret is not what it must be.
    """
    return GlobusMover(GlobusAddress.parse(url), options)
