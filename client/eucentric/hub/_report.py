"""How a hub stands: its services, what waits, disk, copies, and what expires."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path

import orjson
from cryptography import x509
from pydantic import ValidationError

from eucentric_core import EucentricError, FrozenModel, Settings, UtcDatetime, utc_now

from ._folder import HubFolder
from ._processes import is_alive, started_service
from ._services import is_ready
from ._supervisor import Supervision, read_supervision
from .backup import newest_archive

__all__ = ["Expiry", "HubReport", "ServiceReport", "report"]

_SOON_DAYS = 14.0
_RELEASES_SOON_DAYS = 2.0


class ServiceReport(FrozenModel):
    """A service.

    Args:
        name: of the service.
        state: `up`, `waiting`, `starting`, `resting`, `given up`, `down`, or `silent` (runs, no answer).
        pid: of its process, if that runs.
        up_since_utc: when that process began.
        version: of the program that runs.
        healthy: whether it answers now.
        restarts: since `eucentric hub up`; None under systemd, which counts itself.
        said: why it ended last.
    """

    name: str
    state: str
    pid: int | None = None
    up_since_utc: UtcDatetime | None = None
    version: str = ""
    healthy: bool = False
    restarts: int | None = None
    said: str = ""


class Expiry(FrozenModel):
    """Something that ends by itself: a certificate, or the releases' signature."""

    what: str
    until_utc: UtcDatetime
    warn_days: float

    def left_days(self, now: datetime) -> float:
        """Days that are left; negative if it has expired."""
        return (self.until_utc - now).total_seconds() / 86_400


class HubReport(FrozenModel):
    """Everything `eucentric hub status` shows.

    Args:
        name: of the hub.
        services: in the order in which they start.
        waiting: events, runs and files that wait, by their kind.
        free_bytes: on the disk of the home.
        newest_backup_utc: when the newest archive was made; None: there is none.
        backup_folder: where archives lie.
        expiries: what ends when.
        problems: what is not as it should be, in words; empty: all is well.
    """

    name: str
    services: tuple[ServiceReport, ...]
    waiting: dict[str, int]
    free_bytes: int
    newest_backup_utc: UtcDatetime | None
    backup_folder: str
    expiries: tuple[Expiry, ...]
    problems: tuple[str, ...]


def report(settings: Settings, folder: HubFolder) -> HubReport:
    """Look at everything once; services that hang are waited for a few seconds."""
    server, supervision = settings.hub.server, read_supervision(folder)
    with ThreadPoolExecutor(len(server.services)) as pool:
        services = tuple(
            pool.map(lambda name: _service(name, settings, folder, supervision), server.services)
        )
    archive = newest_archive(folder.backups(settings))
    made = None if archive is None else archive.made_utc
    expiries = tuple(_expiries(settings, folder))
    free = shutil.disk_usage(folder.home).free
    return HubReport(
        name=server.name,
        services=services,
        waiting=_waiting(settings),
        free_bytes=free,
        newest_backup_utc=made,
        backup_folder=str(folder.backups(settings)),
        expiries=expiries,
        problems=tuple(_problems(settings, services, free, made, expiries, utc_now())),
    )


def _service(
    name: str, settings: Settings, folder: HubFolder, supervision: Supervision | None
) -> ServiceReport:
    started = started_service(folder, name)
    view = None if supervision is None else supervision.services.get(name)
    alive = is_alive(folder, name)
    try:
        healthy = alive and is_ready(name, settings, folder)
    except EucentricError:
        healthy = False
    if healthy:
        state = "up"
    elif view is not None and view.state != "up":
        state = view.state
    else:
        state = "silent" if alive else "down"
    return ServiceReport(
        name=name,
        state=state,
        pid=started.pid if started is not None and alive else None,
        up_since_utc=started.started_utc if started is not None and alive else None,
        version=started.version if started is not None else "",
        healthy=healthy,
        restarts=None if view is None else view.restarts,
        said="" if view is None else view.said,
    )


def _waiting(settings: Settings) -> dict[str, int]:
    root = settings.repository_path
    return {
        "events for Prefect": _pending_events(settings),
        "runs that have not ended": _unended_runs(settings),
        "files for the repository": _files(root / "incoming"),
        "files in quarantine": sum(1 for _ in (root / "quarantine").glob("*.reason.json")),
    }


def _pending_events(settings: Settings) -> int:
    from eucentric_flows import EventOutbox, outbox_path

    if not outbox_path(settings).exists():
        return 0
    with closing(EventOutbox(outbox_path(settings))) as outbox:
        return outbox.counts().pending


def _unended_runs(settings: Settings) -> int:
    from eucentric_flows import RunRecord, runs_path

    if not runs_path(settings).exists():
        return 0
    with RunRecord(runs_path(settings)) as record:
        return len(record.unended())


def _files(folder: Path) -> int:
    return sum(1 for path in folder.glob("*") if not path.name.startswith(".")) if folder.is_dir() else 0


def _expiries(settings: Settings, folder: HubFolder) -> Iterator[Expiry]:
    certificates = {"certificate of the proxy": folder.certificate(settings)[0]}
    for who, tls in (
        ("the repository", settings.repository.tls),
        ("the hub as a client", settings.client.tls),
    ):
        if tls is not None:
            certificates[f"certificate of {who}"] = tls.certificate
    for what, path in certificates.items():
        try:
            until = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
        except (OSError, ValueError):
            continue
        yield Expiry(what=what, until_utc=until, warn_days=_SOON_DAYS)
    try:
        timestamp = orjson.loads((settings.releases_path / "metadata" / "timestamp.json").read_bytes())
        yield Expiry(
            what="signature of the releases",
            until_utc=timestamp["signed"]["expires"],
            warn_days=_RELEASES_SOON_DAYS,
        )
    except (OSError, ValueError, KeyError, ValidationError):
        return


def _problems(
    settings: Settings,
    services: tuple[ServiceReport, ...],
    free: int,
    made: datetime | None,
    expiries: tuple[Expiry, ...],
    now: datetime,
) -> Iterator[str]:
    server = settings.hub.server
    for service in services:
        if service.state != "up":
            said = f": {service.said}" if service.said else ""
            yield f"{service.name} is {service.state}{said}"
    if free < server.min_free_bytes:
        yield f"only {free / 2**30:.1f} GiB of disk are free (at least {server.min_free_bytes / 2**30:.1f})"
    if made is None:
        yield "there is no backup yet: `eucentric hub backup`"
    elif (age_h := (now - made).total_seconds() / 3600) > server.backup.warn_after_h:
        yield f"the newest backup is {age_h:.0f} h old (at most {server.backup.warn_after_h:g})"
    if server.backup.passphrase_file is None:
        yield "backups leave the secrets out: set hub.server.backup.passphrase_file"
    for expiry in expiries:
        left = expiry.left_days(now)
        if left < expiry.warn_days:
            yield f"the {expiry.what} " + ("has expired" if left < 0 else f"expires in {left:.1f} days")
