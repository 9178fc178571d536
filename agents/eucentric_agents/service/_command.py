"""`eucentric agent install-service`."""

from __future__ import annotations

import getpass
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from eucentric_core import ConfigurationError, ServiceUnavailableError, clear_errors, load_settings

from ._systemd import UNIT_NAME, install_unit, require_config

__all__ = ["install_service"]

_SYSTEM_UNITS = Path("/etc/systemd/system")
_USER_UNITS = Path("~/.config/systemd/user")
_SYSTEMCTL_S = 60


def install_service(
    config: Annotated[Path, typer.Option("--config", help="Settings file (TOML) the service reads.")],
    user_service: Annotated[
        bool, typer.Option("--user", help="A service of this account, not of the machine (systemd).")
    ] = False,
    account: Annotated[
        str | None, typer.Option(help="Account the service runs as (systemd); by default this user.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where to write the unit; by default systemd's.")
    ] = None,
    start: Annotated[bool, typer.Option("--start", help="Enable and start it at once (systemd).")] = False,
) -> None:
    """Let the agent start with the machine: a systemd unit, or a Windows service (untested on Windows)."""
    with clear_errors():
        path = config.expanduser().absolute()
        require_config(path)
        settings = load_settings(path)
        if sys.platform == "win32":
            from ._windows import install_windows_service

            typer.echo(f"installed the service {install_windows_service(path)}; start it with: sc start")
            return
        systemds = _USER_UNITS.expanduser() if user_service else _SYSTEM_UNITS
        where = systemds if folder is None else folder.expanduser().absolute()
        if start and where != systemds:
            raise ConfigurationError(
                f"The agent cannot be started from {where}: systemd does not look there.",
                safe="nothing was installed.",
                next_step="leave --folder out, or leave --start out and copy the unit yourself.",
            )
        user = None if user_service else account or getpass.getuser()
        unit = install_unit(settings, path, where, user=user)
        scope = ["--user"] if user_service else []
        commands = [
            ["systemctl", *scope, "daemon-reload"],
            ["systemctl", *scope, "enable", "--now", UNIT_NAME],
        ]
        if start:
            for command in commands:
                _run(command)
    typer.echo(f"wrote {unit}")
    if start:
        typer.echo("the agent runs; `eucentric agent status` shows how it is")
    else:
        if where != systemds:
            typer.echo(f"systemd does not look there: copy it to {systemds} first")
        typer.echo("start it with: " + " && ".join(" ".join(command) for command in commands))


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SYSTEMCTL_S)
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or error
        raise ServiceUnavailableError(
            f"`{' '.join(command)}` failed: {str(reason).strip()}.",
            safe="the unit file is written; nothing else was changed.",
            next_step="run the command by hand, as root for a service of the machine.",
        ) from error
