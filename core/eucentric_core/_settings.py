"""What a machine may be told: one section per role, every value with its bounds."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue

from ._access import Role
from ._model import FrozenModel, Identifier
from ._settings_address import Address, folder_of_address
from ._settings_dashboard import DashboardSettings
from ._settings_data import DataChannelSettings
from ._settings_globus import GlobusSettings
from ._settings_hosts import is_loopback, reachable_host
from ._settings_hpc import HpcSettings
from ._settings_hub_server import HubServerSettings
from ._settings_link import LinkSettings
from ._settings_repository import RepositorySettings, without_asyncpg_password, without_password
from ._settings_s3 import S3Settings
from ._settings_tls import TlsSettings

__all__ = [
    "AgentSettings",
    "ClientSettings",
    "EdgeSettings",
    "HpcSettings",
    "HubSettings",
    "InstrumentSettings",
    "RepositorySettings",
    "Settings",
    "TlsSettings",
    "is_loopback",
]

_Port = Annotated[int, Field(ge=1, le=65535)]
_Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
_HostPort = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,253}:[0-9]{1,5}$")]
_AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]


class InstrumentEdgeSettings(FrozenModel):
    """Where the edge that answers an instrument's frames is found, and which model it serves."""

    name: Identifier = "edge-1"
    model: Identifier = "atoms"
    host: str = "127.0.0.1"
    control_port: _Port = 4320
    data_port: _Port = 4321


class InstrumentSettings(FrozenModel):
    """Where an instrument is found: its agent, for `eucentric.connect(name)`, and its edge."""

    host: str = "127.0.0.1"
    control_port: _Port = 4310
    data_port: _Port = 4311
    edge: InstrumentEdgeSettings = InstrumentEdgeSettings()


class AgentSettings(FrozenModel):
    """The agent on the control PC.

    Without `tls` both channels listen on loopback only, and whoever connects there has
    `loopback_role`. `interlocks` is the local file of limits. `ship_to` is where shards go: a folder, or
    an address such as `s3://bucket/prefix`. At `flight_check_utc` every day a small test data set goes all
    the way there.
    """

    name: Identifier = "microscope-1"
    instrument: Identifier = "twin"
    driver: dict[str, JsonValue] = {}
    host: str = "127.0.0.1"
    control_port: _Port = 4310
    data_port: _Port = 4311
    tls: TlsSettings | None = None
    loopback_role: Role = Role.SCIENTIST
    interlocks: _AbsolutePath | None = None
    frames_per_shard: Annotated[int, Field(ge=1, le=4096)] = 16
    min_free_bytes: Annotated[int, Field(ge=0)] = 512 << 20
    compression: Literal["auto", "blosc2-lz4", "none"] = "blosc2-lz4"
    keep_receipted_bytes: Annotated[int, Field(ge=0)] = 0
    max_quarantine_bytes: Annotated[int, Field(ge=1 << 20)] = 4 << 30
    ship_to: Address | None = None
    ship_to_share: bool = False
    flight_check_utc: datetime.time | None = None
    flight_check_deadline_s: Annotated[float, Field(ge=10, le=86_400)] = 900.0

    @property
    def ship_to_folder(self) -> Path | None:
        """The folder of this machine that shards are sent to, None if they go elsewhere or stay here."""
        return folder_of_address(self.ship_to)

    @property
    def reachable_host(self) -> str:
        """Where this machine reaches its own agent: one that listens on every address is on loopback, too."""
        return reachable_host(self.host)

    @property
    def data_host(self) -> str:
        """Where the data channel listens: with control where there are keys, on the machine without."""
        return self.host if self.tls is not None or is_loopback(self.host) else "127.0.0.1"

    @property
    def reachable_data_host(self) -> str:
        """Where this machine reaches its own data channel."""
        return self.reachable_host if self.data_host == self.host else self.data_host


class EdgeSettings(FrozenModel):
    """The inference service beside the microscope.

    Without `tls` both channels listen on loopback only. `trust_root` is the root metadata this machine was
    given by hand; `releases` where the hub publishes (a folder, `s3://…` or `https://…`), looked at every
    `release_poll_s`.
    """

    name: Identifier = "edge-1"
    model: Identifier = "atoms"
    host: str = "127.0.0.1"
    control_port: _Port = 4320
    data_port: _Port = 4321
    tls: TlsSettings | None = None
    source_stream: str = "haadf"
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    backend: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")] = "auto"
    frames: Literal["every", "newest"] = "every"
    batch: Annotated[int, Field(ge=1, le=64)] = 1
    shadow_share: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    metrics_port: _Port | None = None
    trusted_keys: _AbsolutePath | None = None
    trust_root: _AbsolutePath | None = None
    releases: Address | None = None
    release_poll_s: Annotated[float, Field(ge=0.1, le=86_400)] = 30.0
    drift_window_frames: Annotated[int, Field(ge=1, le=4096)] = 8
    drift_score_limit: Annotated[float, Field(gt=0, le=100)] = 1.0
    entropy_ratio_limit: Annotated[float, Field(gt=1, le=100)] = 1.3

    @property
    def channel_tls(self) -> TlsSettings | None:
        """Files for mutual TLS of both channels; None: they have no keys, and stay on the machine."""
        return self.tls

    @property
    def reachable_host(self) -> str:
        """Where this machine reaches its own edge."""
        return reachable_host(self.host)


class HubSettings(FrozenModel):
    """Prefect, MLflow and the flows.

    `releases` is the folder that signed releases are published in. A local MLflow keeps its catalogue in
    `mlflow_database` (`postgresql+psycopg://user@host/name`, the password where PostgreSQL looks for it:
    ~/.pgpass or the environment) and its files in `mlflow_artifacts` (`s3://bucket/prefix`), by default
    in SQLite and a folder below the home. A local Prefect keeps its own in `prefect_database`
    (`postgresql+asyncpg://…`), by default in SQLite. Where Prefect or MLflow asks who one is, name and
    password are in `prefect_login_file` and `mlflow_login_file` (`name:password`, readable by their owner
    alone); MLflow keeps its users in `mlflow_users_database`. `server` is for `eucentric hub`.

    At `push_port` on loopback the flow service hears from MLflow that a champion has changed, and has the
    edges look at once; None: they hear it from whoever promotes, or see it at their next look. `push_url`
    is how MLflow reaches that port where it runs elsewhere. `more_edges` are edges beside that of the
    section `edge`, as `host:control port`.
    """

    prefect_api_url: _Url = "http://127.0.0.1:4200/api"
    mlflow_url: _Url = "http://127.0.0.1:5000"
    policies: _AbsolutePath | None = None
    signing_key: _AbsolutePath | None = None
    releases: _AbsolutePath | None = None
    mlflow_database: Annotated[str, AfterValidator(without_password)] | None = None
    mlflow_artifacts: Address | None = None
    prefect_database: Annotated[str, AfterValidator(without_asyncpg_password)] | None = None
    mlflow_users_database: Annotated[str, AfterValidator(without_password)] | None = None
    prefect_login_file: _AbsolutePath | None = None
    mlflow_login_file: _AbsolutePath | None = None
    server: HubServerSettings = HubServerSettings()
    push_port: _Port | None = None
    push_url: _Url | None = None
    more_edges: Annotated[tuple[_HostPort, ...], Field(max_length=64)] = ()

    @property
    def mlflow_artifacts_folder(self) -> Path | None:
        """The folder of this machine that MLflow keeps its files in, if the settings name one."""
        return folder_of_address(self.mlflow_artifacts)


class ClientSettings(FrozenModel):
    """Who this machine's notebooks, commands, dashboard and flows are when they call an agent."""

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    tls: TlsSettings | None = None


class Settings(FrozenModel):
    """Everything one machine needs to know. Sections of roles it only talks to give their addresses.

    Every path becomes absolute when it is read: `~` is the user's home, a relative path is relative
    to the working directory.
    """

    # A refused value may hold a secret that belongs elsewhere; the error names its key.
    model_config = ConfigDict(hide_input_in_errors=True)

    home: Annotated[_AbsolutePath, Field(validate_default=True)] = Path("~/.eucentric")
    agent: AgentSettings = AgentSettings()
    edge: EdgeSettings = EdgeSettings()
    repository: RepositorySettings = RepositorySettings()
    hub: HubSettings = HubSettings()
    hpc: HpcSettings = HpcSettings()
    dashboard: DashboardSettings = DashboardSettings()
    client: ClientSettings = ClientSettings()
    link: LinkSettings = LinkSettings()
    data_channel: DataChannelSettings = DataChannelSettings()
    s3: S3Settings = S3Settings()
    globus: GlobusSettings = GlobusSettings()
    instruments: dict[Identifier, InstrumentSettings] = {}

    @property
    def logs(self) -> Path:
        """Folder of the structured logs."""
        return self.home / "logs"

    @property
    def signing_key_path(self) -> Path:
        """Private key that signs model bundles (hub only)."""
        return self.hub.signing_key or self.home / "keys" / "signing-key.pem"

    @property
    def trusted_keys_path(self) -> Path:
        """Public keys whose signatures on model bundles count, as `TrustedKeys` JSON."""
        return self.edge.trusted_keys or self.home / "keys" / "trusted-keys.json"

    @property
    def trust_root_path(self) -> Path:
        """Root metadata of the releases; a machine that has it believes no bundle without a release."""
        return self.edge.trust_root or self.trusted_keys_path.with_name("root.json")

    @property
    def releases_path(self) -> Path:
        """Folder that the hub publishes signed releases in (hub only)."""
        return self.hub.releases or self.home / "releases"

    @property
    def releases_address(self) -> str:
        """Where the edge reads releases: what `edge.releases` names, or the hub's folder on this machine."""
        return self.edge.releases or str(self.releases_path)

    @property
    def policies_path(self) -> Path:
        """Folder of the policy files (hub only)."""
        return self.hub.policies or self.home / "policies"

    @property
    def interlocks_path(self) -> Path:
        """The local file of interlock limits (control PC only)."""
        return self.agent.interlocks or self.home / "agent" / "interlocks.toml"

    @property
    def repository_path(self) -> Path:
        """Root folder of the data repository."""
        return self.repository.root or self.home / "repository"
