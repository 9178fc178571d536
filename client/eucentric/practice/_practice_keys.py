"""Certificates of a practice site: an authority of its own, one machine, and people."""

from __future__ import annotations

from pathlib import Path

from eucentric_core import Role, TlsSettings

from ..certs import Authority

__all__ = ["PracticeKeys"]

_HOSTS = ("localhost", "127.0.0.1")
_DAYS = 2


class PracticeKeys:
    """Makes certificates that last two days.

    Args:
        folder: of the authority; must not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._authority = Authority.create(folder, name="practice", days=_DAYS)

    def machine(self, name: str) -> TlsSettings:
        """For the services of a machine, reached as localhost, through a tunnel too."""
        return self._files(name, role=None)

    def person(self, name: str, role: Role = Role.SCIENTIST) -> TlsSettings:
        """For somebody who steers."""
        return self._files(name, role=role)

    def _files(self, name: str, *, role: Role | None) -> TlsSettings:
        hosts = () if role is not None else _HOSTS
        folder = self._authority.issue(name, role=role, hosts=hosts, days=_DAYS).folder
        return TlsSettings(
            authority=folder / "authority.pem",
            certificate=folder / "certificate.pem",
            key=folder / "key.pem",
        )
