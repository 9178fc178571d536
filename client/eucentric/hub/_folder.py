"""Where a hub keeps what: a folder of what `eucentric hub init` renders, beside the data of services."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eucentric_core import ConfigurationError, Settings, load_settings

__all__ = ["HubFolder", "open_hub"]


@dataclass(frozen=True, slots=True)
class HubFolder:
    """Paths below the home of a hub."""

    home: Path

    @property
    def root(self) -> Path:
        """What is rendered."""
        return self.home / "hub"

    @property
    def settings(self) -> Path:
        """Settings of every service, complete."""
        return self.root / "eucentric.toml"

    @property
    def rendered(self) -> Path:
        """What was rendered last, by hash: so that a change by hand is seen."""
        return self.root / "rendered.json"

    @property
    def secrets(self) -> Path:
        """Files that the hub's account alone may read."""
        return self.root / "secrets"

    @property
    def environment(self) -> Path:
        """Variables that a site gives every service under systemd, if it wants; `NAME=value` lines."""
        return self.root / "environment"

    @property
    def pgpass(self) -> Path:
        """Passwords as PostgreSQL's clients read them."""
        return self.secrets / "pgpass"

    @property
    def postgres_configuration(self) -> Path:
        """PostgreSQL's settings."""
        return self.root / "postgresql.conf"

    @property
    def proxy_configuration(self) -> Path:
        """The reverse proxy's settings."""
        return self.root / "nginx.conf"

    @property
    def proxy_scratch(self) -> Path:
        """Where the reverse proxy keeps what does not fit in memory."""
        return self.home / "run" / "nginx"

    @property
    def running(self) -> Path:
        """One file for each service that was started: its process and version."""
        return self.home / "run" / "hub"

    @property
    def supervision(self) -> Path:
        """What `eucentric hub up` knows of each service."""
        return self.running / "supervision.json"

    @property
    def postgres(self) -> Path:
        """The database cluster."""
        return self.home / "postgres"

    @property
    def postgres_data(self) -> Path:
        """PostgreSQL's data folder; its parent belongs to the same account."""
        return self.postgres / "data"

    def certificate(self, settings: Settings) -> tuple[Path, Path]:
        """Certificate chain and private key of the reverse proxy."""
        server, folder = settings.hub.server, self.home / "tls" / "hub"
        return (
            server.certificate or folder / "certificate.pem",
            server.certificate_key or folder / "key.pem",
        )

    def backups(self, settings: Settings) -> Path:
        """Where archives lie."""
        return settings.hub.server.backup.folder or self.home / "backups"


def open_hub(config: Path | None) -> tuple[Settings, HubFolder]:
    """The complete settings of a hub that was set up, and its folder.

    Args:
        config: the site's own settings file, or the complete one that was rendered.

    Raises:
        ConfigurationError: bad settings, or `eucentric hub init` was not run.
    """
    folder = HubFolder(load_settings(config).home)
    if not folder.settings.exists():
        raise ConfigurationError(
            f"There is no hub in {folder.home}: {folder.settings} is missing.",
            safe="nothing was started.",
            next_step="set it up with `eucentric hub init --config FILE`, or correct --config.",
        )
    return load_settings(folder.settings), folder
