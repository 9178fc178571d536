"""A whole site on one machine: settings with free ports, folders, keys and the policy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit

from eucentric_core import ConfigurationError, Settings, load_settings, require_free_space, write_atomic
from eucentric_core.transport import find_free_port, require_port_free
from eucentric_model_registry import KeyFolder, create_trust

__all__ = ["NEEDED_BYTES", "Site", "prepare_site"]

NEEDED_BYTES = 1 << 30
"""Free disk space the demo asks for before it starts anything."""


class Site:
    """Settings of the demo and the file they were written to for the services."""

    def __init__(self, settings: Settings, config: Path) -> None:
        self.settings = settings
        self.config = config

    @property
    def home(self) -> Path:
        """Folder that holds everything the demo writes."""
        return self.settings.home


def _address(settings: Settings, section: str, key: str) -> dict[str, int]:
    """A port the user chose is checked and kept, any other is replaced by a free one."""
    chosen = getattr(settings, section)
    if key in chosen.model_fields_set:
        port = int(getattr(chosen, key))
        require_port_free(chosen.host, port, f"{section}.{key}")
        return {key: port}
    return {key: find_free_port(chosen.host)}


def _ports(settings: Settings) -> dict[str, dict[str, Any]]:
    services = {
        section: {
            **_address(settings, section, "control_port"),
            **_address(settings, section, "data_port"),
        }
        for section in ("agent", "edge", "repository")
    }
    page: dict[str, Any] = _address(settings, "dashboard", "port")
    if "login" not in settings.dashboard.model_fields_set:
        # Simulated data on loopback: whoever can start the demo may do everything in it without a login.
        page |= {"login": "none", "open_role": "admin"}
    return {**services, "dashboard": page}


def _empty_folder(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
        occupied = any(home.iterdir())
    except OSError as error:
        raise ConfigurationError(
            f"The demo cannot write to {home}: {error.strerror}.",
            safe="nothing was started.",
            next_step="choose another folder with --home.",
        ) from error
    if occupied:
        raise ConfigurationError(
            f"The folder {home} is not empty.",
            safe="nothing in it was touched and nothing was started.",
            next_step="give --home a new or empty folder.",
        )


def _merge(
    base: dict[str, dict[str, Any]], over: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    return {section: {**base.get(section, {}), **over.get(section, {})} for section in {*base, *over}}


def prepare_site(
    home: Path, *, config: Path | None, flags: Mapping[str, Mapping[str, Any]], policy: str
) -> Site:
    """Make the folders, keys, policy and settings of a one-machine site.

    Args:
        home: a new or empty folder.
        config: the user's settings file to start from, if any.
        flags: settings by section that the demo or its options fix.
        policy: the policy file (TOML).

    Raises:
        ConfigurationError: bad settings, a port in use, a folder that is not empty.
        OutOfSpaceError: less than `NEEDED_BYTES` are free.
    """
    chosen = load_settings(config, flags=flags)
    ports = _ports(chosen)
    _empty_folder(home)
    require_free_space(home, NEEDED_BYTES)

    keys, policies = home / "keys", home / "policies"
    policies.mkdir()
    write_atomic(policies / "demo.toml", policy.encode())
    signing_key, trusted_keys = keys / "bundle-signing.pem", keys / "trusted-keys.json"
    create_trust(KeyFolder(signing_key, trusted_keys, keys / "root.json"), home / "releases")

    repository = home / "repository"
    local = {
        "agent": {"ship_to": str(repository)},
        "edge": {"trusted_keys": str(trusted_keys)},
        "repository": {"root": str(repository)},
        "hub": {
            "prefect_api_url": f"http://127.0.0.1:{find_free_port()}/api",
            "mlflow_url": f"http://127.0.0.1:{find_free_port()}",
            "policies": str(policies),
            "signing_key": str(signing_key),
        },
    }
    settings = load_settings(config, flags={**_merge(_merge(ports, local), flags), "home": str(home)})
    path = home / "eucentric.toml"
    write_atomic(path, tomlkit.dumps(settings.model_dump(mode="json", exclude_none=True)).encode())
    return Site(settings, path)
