"""Settings: one TOML file per machine < environment (`EUCENTRIC__SECTION__KEY`) < flags."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, JsonValue, ValidationError

from ._errors import ConfigurationError
from ._model import FrozenModel, Identifier

__all__ = [
    "AgentSettings",
    "EdgeSettings",
    "HpcSettings",
    "HubSettings",
    "RepositorySettings",
    "Settings",
    "load_settings",
]

ENVIRONMENT_PREFIX = "EUCENTRIC__"

_Port = Annotated[int, Field(ge=1, le=65535)]


class AgentSettings(FrozenModel):
    """The agent on the control PC."""

    name: Identifier = "microscope-1"
    instrument: Identifier = "twin"
    driver: dict[str, JsonValue] = {}
    host: str = "127.0.0.1"
    control_port: _Port = 4310
    data_port: _Port = 4311
    frames_per_shard: Annotated[int, Field(ge=1, le=4096)] = 16
    min_free_bytes: Annotated[int, Field(ge=0)] = 512 << 20
    ship_to: Path | None = None


class EdgeSettings(FrozenModel):
    """The inference service beside the microscope."""

    name: Identifier = "edge-1"
    model: Identifier = "atoms"
    host: str = "127.0.0.1"
    control_port: _Port = 4320
    data_port: _Port = 4321
    source_stream: str = "haadf"
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    trusted_keys: Path | None = None
    drift_window_frames: Annotated[int, Field(ge=1, le=4096)] = 8


class RepositorySettings(FrozenModel):
    """The catalogue of data sets."""

    name: Identifier = "repository-1"
    host: str = "127.0.0.1"
    control_port: _Port = 4330
    data_port: _Port = 4331
    root: Path | None = None


class HubSettings(FrozenModel):
    """Prefect, MLflow and the flows."""

    prefect_api_url: str = "http://127.0.0.1:4200/api"
    mlflow_url: str = "http://127.0.0.1:5000"
    policies: Path | None = None
    signing_key: Path | None = None


class HpcSettings(FrozenModel):
    """Where training runs."""

    executor: str = "parsl-local"
    workers: Annotated[int, Field(ge=1, le=1024)] = 2
    start_timeout_s: Annotated[float, Field(gt=0, le=3600)] = 120.0


class Settings(FrozenModel):
    """Everything one machine needs to know. Sections of roles it only talks to give their addresses."""

    home: Path = Path("~/.eucentric")
    agent: AgentSettings = AgentSettings()
    edge: EdgeSettings = EdgeSettings()
    repository: RepositorySettings = RepositorySettings()
    hub: HubSettings = HubSettings()
    hpc: HpcSettings = HpcSettings()

    @property
    def logs(self) -> Path:
        """Folder of the structured logs."""
        return self.home / "logs"


def _refuse(what: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(what, safe="nothing was started.", next_step=next_step)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _refuse(f"Settings file {path} does not exist.", "check the path, or leave --config out.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refuse(f"Settings file {path} is not valid TOML: {error}.", "correct the named line.") from error
    except OSError as error:
        raise _refuse(f"Settings file {path} cannot be read: {error}.", "check its permissions.") from error


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in environment.items():
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        *sections, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        branch: dict[str, Any] = {key: value}
        for section in reversed(sections):
            branch = {section: branch}
        found = _merge(found, branch)
    return found


def load_settings(
    path: Path | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings of this machine.

    Args:
        path: TOML file; None means no file, only defaults, environment and flags.
        flags: nested values given on the command line; they win.
        environment: variables to read, by default those of the process.

    Raises:
        ConfigurationError: unreadable file, unknown key, or a value out of bounds; names the key.
    """
    values = _from_file(path) if path is not None else {}
    values = _merge(values, _from_environment(os.environ if environment is None else environment))
    values = _merge(values, flags or {})
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        origin = f" (file {path})" if path is not None else ""
        raise _refuse(
            f"Setting {key!r}{origin}: {first['msg'].lower()}.",
            "correct or remove it; `eucentric config show` prints every known key.",
        ) from error
    return settings.model_copy(update={"home": settings.home.expanduser().absolute()})
