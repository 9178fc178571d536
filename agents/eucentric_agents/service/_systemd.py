"""The systemd unit of the agent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from eucentric_core import ConfigurationError, Settings, quoted_for_systemd, write_atomic

__all__ = ["UNIT_NAME", "install_unit", "require_config", "unit_text"]

UNIT_NAME = "eucentric-agent.service"

_STOP_S = 30
"""Longer than the agent takes to blank the beam, close the session and record what was published."""


def unit_text(settings: Settings, config: Path, *, user: str | None) -> str:
    """The unit that runs this Python's agent with that settings file.

    The service is started again after a failure, not after a clean stop: whoever stops the agent means it.

    Args:
        settings: of this machine; the service may write into its home folder, into the one that data sets
            are sent to, and beside every file that the driver's options name.
        config: the settings file.
        user: account of the service; None for a unit of the user who installs it.

    Raises:
        ConfigurationError: a path holds a character that a unit file cannot carry.
    """
    python, settings_file = quoted_for_systemd(sys.executable), quoted_for_systemd(str(config))
    command = f"{python} -m eucentric_agents run --config {settings_file}"
    writable = [settings.home, *(path for path in (settings.agent.ship_to_folder,) if path is not None)]
    system = [
        f"User={user}",
        "ProtectSystem=strict",
        "PrivateTmp=true",
        *(f"ReadWritePaths={quoted_for_systemd(str(path))}" for path in writable),
        # With the dash a folder that is missing does not keep the service from starting and saying so.
        *(f"ReadWritePaths={quoted_for_systemd(f'-{path}')}" for path in _beside_files(settings)),
    ]
    lines = [
        "[Unit]",
        f"Description=Eucentric agent of {settings.agent.name}",
        "After=network-online.target",
        "Wants=network-online.target",
        "StartLimitIntervalSec=600",
        "StartLimitBurst=5",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={command}",
        "Restart=on-failure",
        "RestartSec=5",
        # The agent itself stops its driver host and data process, in this order.
        "KillMode=mixed",
        f"TimeoutStopSec={_STOP_S}",
        "NoNewPrivileges=true",
        *(system if user is not None else []),
        "",
        "[Install]",
        f"WantedBy={'multi-user.target' if user is not None else 'default.target'}",
        "",
    ]
    return "\n".join(lines)


def install_unit(settings: Settings, config: Path, folder: Path, *, user: str | None) -> Path:
    """Write the unit into systemd's folder and return its path; an installed unit is replaced.

    Raises:
        ConfigurationError: there is no such settings file, or the folder cannot be written.
    """
    require_config(config)
    text = unit_text(settings, config, user=user)
    path = folder / UNIT_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        settings.home.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode())
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}.",
            safe="nothing was installed.",
            next_step="run this as root, or with --user for a service of your own account.",
        ) from error
    return path


def require_config(config: Path) -> None:
    """Raise `ConfigurationError` if there is no such settings file."""
    if not config.is_file():
        raise ConfigurationError(
            f"There is no settings file {config}.",
            safe="nothing was installed.",
            next_step="write one first: `eucentric config show > FILE`, then edit it.",
        )


def _beside_files(settings: Settings) -> list[Path]:
    """The folders of all files outside of the home folder that the driver's options name."""
    folders = {
        path.parent
        for path in map(Path, _texts(settings.agent.driver))
        if path.is_absolute() and not path.is_relative_to(settings.home)
    }
    # A file right under the root must not open the whole machine.
    return sorted(folder for folder in folders if folder != folder.parent)


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
