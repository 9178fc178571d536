"""How a site's hub is set up: what `eucentric hub` renders, starts, watches and keeps copies of."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ._model import FrozenModel

__all__ = ["HubBackupSettings", "HubServerSettings", "HubService"]

_AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
_Port = Annotated[int, Field(ge=1, le=65535)]
_Account = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
_Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$")]

HubService = Literal["postgres", "prefect", "mlflow", "repository", "flows", "dashboard", "proxy"]
"""The services of a hub, in the order in which they start."""


class HubBackupSettings(FrozenModel):
    """Copies of what a hub knows.

    Args:
        folder: where archives lie; a folder on another machine's disk, mounted, is better than one on this.
        keep: how many archives are kept; older ones are removed after a new one was verified.
        at_utc: when the timer of the systemd units makes one, every day.
        data: `documents` takes of the repository's root what is not a shard (a site's shards have archives of
            their own, `repository.archives`); `all` takes the shards as well.
        passphrase_file: holds the passphrase that locks the secrets in the archive, and nothing else. Without
            it secrets are left out, and every archive says so.
        warn_after_h: `hub status` complains when the newest archive is older (hours).
    """

    folder: _AbsolutePath | None = None
    keep: Annotated[int, Field(ge=1, le=1000)] = 14
    at_utc: datetime.time = datetime.time(2, 30)
    data: Literal["documents", "all"] = "documents"
    passphrase_file: _AbsolutePath | None = None
    warn_after_h: Annotated[float, Field(gt=0, le=8784)] = 26.0


class HubServerSettings(FrozenModel):
    """The machine that is a site's hub.

    Args:
        name: host name in the certificate and in the addresses that people type.
        services: which of them this machine runs.
        account: whose services they are (systemd).
        postgres_port: of the hub's own PostgreSQL, on loopback.
        postgres_account: runs PostgreSQL where the hub itself is run by root, whom PostgreSQL refuses.
        listen: address at which the reverse proxy listens.
        dashboard_port: of the proxy, for the dashboard; below `/releases/` edges read signed releases.
        prefect_port: of the proxy, for Prefect's page and interface.
        mlflow_port: of the proxy, for MLflow's page and interface.
        certificate: chain of the proxy (PEM); by default `<home>/tls/hub/certificate.pem`.
        certificate_key: its private key; by default `<home>/tls/hub/key.pem`.
        restarts: how often `hub up` starts a service again within `restarts_within_s` before it gives it up.
        restarts_within_s: see `restarts`.
        memory_max_mib: most memory of one service (systemd's MemoryMax).
        min_free_bytes: `hub status` complains below this much free disk.
        backup: copies.
    """

    name: _Host = "localhost"
    services: tuple[HubService, ...] = (
        "postgres", "prefect", "mlflow", "repository", "flows", "dashboard", "proxy",
    )  # fmt: skip
    account: _Account = "eucentric"
    postgres_port: _Port = 5433
    postgres_account: _Account = "postgres"
    listen: _Host = "127.0.0.1"
    dashboard_port: _Port = 8443
    prefect_port: _Port = 8444
    mlflow_port: _Port = 8445
    certificate: _AbsolutePath | None = None
    certificate_key: _AbsolutePath | None = None
    restarts: Annotated[int, Field(ge=0, le=1000)] = 5
    restarts_within_s: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    memory_max_mib: Annotated[int, Field(ge=256, le=4 << 20)] = 4096
    min_free_bytes: Annotated[int, Field(ge=0)] = 5 << 30
    backup: HubBackupSettings = HubBackupSettings()

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        if len(set(self.services)) != len(self.services):
            raise ValueError("services names one twice")
        return self
