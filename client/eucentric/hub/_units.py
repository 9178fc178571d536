"""The systemd units of a hub, as texts. Pure. No secret is in them: services read theirs from files."""

from __future__ import annotations

import sys
from pathlib import Path

from eucentric_core import Settings, quoted_for_systemd

from ._folder import HubFolder
from ._needs import NEEDS

__all__ = ["TARGET", "unit_name", "units"]

TARGET = "eucentric-hub.target"
_BACKUP = "eucentric-hub-backup"

_HARDENED = (
    "NoNewPrivileges=true",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "PrivateTmp=true",
    "PrivateDevices=true",
    "ProtectClock=true",
    "ProtectControlGroups=true",
    "ProtectHostname=true",
    "ProtectKernelLogs=true",
    "ProtectKernelModules=true",
    "ProtectKernelTunables=true",
    # ZeroMQ asks the kernel for this machine's addresses over netlink, and aborts where it may not.
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces=true",
    "RestrictRealtime=true",
    "RestrictSUIDSGID=true",
    "LockPersonality=true",
    "RemoveIPC=true",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "UMask=0077",
)


def unit_name(service: str) -> str:
    """Of a service of the hub."""
    return f"eucentric-hub-{service}.service"


def units(settings: Settings, folder: HubFolder) -> dict[str, str]:
    """Every unit by its file's name: a target, its services, and a timer for the nightly backup.

    Raises:
        ConfigurationError: a path holds a character that a unit file cannot carry.
    """
    server = settings.hub.server
    made = {unit_name(service): _service(service, settings, folder) for service in server.services}
    made[TARGET] = "\n".join(
        (
            "[Unit]",
            f"Description=Eucentric hub {server.name}",
            f"Wants={' '.join(made)}",
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        )
    )
    made[f"{_BACKUP}.service"] = _backup(settings, folder)
    made[f"{_BACKUP}.timer"] = "\n".join(
        (
            "[Unit]",
            f"Description=Nightly backup of the Eucentric hub {server.name}",
            "",
            "[Timer]",
            f"OnCalendar=*-*-* {server.backup.at_utc:%H:%M:%S} UTC",
            # A hub that was off at that time makes it up.
            "Persistent=true",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        )
    )
    return made


def _service(service: str, settings: Settings, folder: HubFolder) -> str:
    server = settings.hub.server
    before = [unit_name(one) for one in NEEDS[service] if one in server.services]
    # PostgreSQL waits for its clients at SIGTERM and ends their sessions at SIGINT.
    signal = "SIGINT" if service == "postgres" else "SIGTERM"
    return "\n".join(
        (
            "[Unit]",
            f"Description=Eucentric hub {server.name}: {service}",
            # After the target, so that stopping it returns when the last of them has ended.
            f"After={' '.join([TARGET, 'network-online.target', *before])}",
            "Wants=network-online.target",
            f"PartOf={TARGET}",
            "StartLimitIntervalSec=600",
            "StartLimitBurst=10",
            "",
            "[Service]",
            "Type=exec",
            f"User={server.account}",
            # systemd takes this line as it stands, without quotes, and expands % alone.
            f"EnvironmentFile=-{str(folder.environment).replace('%', '%%')}",
            f"ExecStart={_command(folder, 'run', service)}",
            "Restart=on-failure",
            "RestartSec=5",
            f"KillSignal={signal}",
            "KillMode=mixed",
            "TimeoutStopSec=60",
            f"MemoryMax={server.memory_max_mib}M",
            "LimitNOFILE=65536",
            *_HARDENED,
            *_writable(settings, folder),
            "",
            "[Install]",
            f"WantedBy={TARGET}",
            "",
        )
    )


def _backup(settings: Settings, folder: HubFolder) -> str:
    return "\n".join(
        (
            "[Unit]",
            f"Description=Backup of the Eucentric hub {settings.hub.server.name}",
            f"After={unit_name('postgres')}",
            "",
            "[Service]",
            "Type=oneshot",
            f"User={settings.hub.server.account}",
            f"ExecStart={_command(folder, 'backup')}",
            "Nice=10",
            "IOSchedulingClass=idle",
            f"MemoryMax={settings.hub.server.memory_max_mib}M",
            *_HARDENED,
            *_writable(settings, folder),
            "",
        )
    )


def _command(folder: HubFolder, *words: str) -> str:
    parts = (sys.executable, "-m", "eucentric", "hub", *words, "--config", str(folder.settings))
    return " ".join(quoted_for_systemd(part) for part in parts)


def _writable(settings: Settings, folder: HubFolder) -> list[str]:
    places = {folder.home, settings.repository_path, settings.releases_path, folder.backups(settings)}
    outside = {place for place in places if not place.is_relative_to(folder.home)}
    # With the dash a folder that is missing does not keep a service from starting and saying so.
    return [
        f"ReadWritePaths={quoted_for_systemd(str(folder.home))}",
        *(
            f"ReadWritePaths={quoted_for_systemd(f'-{place}')}"
            for place in sorted(outside, key=Path.as_posix)
        ),
    ]
