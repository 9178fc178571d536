"""What a service says of itself and its machine, for whoever watches over a fleet."""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ._model import FrozenModel, UtcDatetime, utc_now
from ._settings import TlsSettings
from .security import load_certificate

__all__ = ["ServiceAbout", "service_about"]


class ServiceAbout(FrozenModel):
    """A service at one moment.

    Args:
        service: `agent`, `edge`, ...
        version: of the package.
        state: in its own words.
        utc: its machine's clock.
        free_bytes: on the disk of its home folder.
        disk_bytes: of that disk.
        system: name of the operating system and version of Python.
        certificate_until: when its certificate expires; None where it has none.
    """

    service: str
    version: str
    state: str
    utc: UtcDatetime
    free_bytes: Annotated[int, Field(ge=0)]
    disk_bytes: Annotated[int, Field(ge=0)]
    system: str
    certificate_until: UtcDatetime | None = None


def service_about(service: str, state: str, home: Path, tls: TlsSettings | None) -> ServiceAbout:
    """What there is to say now; reads the certificate's file anew, because it may have been replaced."""
    disk = shutil.disk_usage(home if home.exists() else home.anchor)
    return ServiceAbout(
        service=service,
        version=version("eucentric"),
        state=state,
        utc=utc_now(),
        free_bytes=disk.free,
        disk_bytes=disk.total,
        system=f"{platform.system()}, Python {platform.python_version()}",
        certificate_until=None if tls is None else load_certificate(tls.certificate).not_valid_after_utc,
    )
