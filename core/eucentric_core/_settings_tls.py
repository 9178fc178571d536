"""Files for mutual TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from ._model import FrozenModel

__all__ = ["TlsSettings"]

_AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]


class TlsSettings(FrozenModel):
    """Files for mutual TLS, as `eucentric certs issue` writes them (PEM).

    Args:
        authority: certificate of the site's authority.
        certificate: this machine's or person's own.
        key: its private key.
        revoked: the authority's list of revoked certificates; services refuse whoever is on it.
    """

    authority: _AbsolutePath
    certificate: _AbsolutePath
    key: _AbsolutePath
    revoked: _AbsolutePath | None = None
