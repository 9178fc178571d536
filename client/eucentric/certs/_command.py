"""`eucentric certs`: who may steer, and which machine is the instrument."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from eucentric_core import Role, load_settings, utc_now

from ._authority import Authority, Issued
from ._files import refused
from ._record import CertificateRecord

__all__ = ["app"]

app = typer.Typer(
    help="Certificates: who may steer, and which machine is the instrument.", no_args_is_help=True
)

_Folder = Annotated[
    Path | None,
    typer.Option("--folder", help="Of the authority; by default authority/ in the settings' home."),
]
_Days = Annotated[int, typer.Option("--days", min=1, max=36500, help="Days of validity.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Which = Annotated[str, typer.Argument(metavar="NAME|SERIAL", help="As in `eucentric certs list`.")]


@app.callback()
def _group() -> None:
    """Certificates: who may steer, and which machine is the instrument."""


@app.command()
def init(
    folder: _Folder = None,
    name: Annotated[
        str, typer.Option("--name", help="Of the authority, e.g. the site's.")
    ] = "eucentric-site",
    days: _Days = 3650,
) -> None:
    """Make the site's authority: once, on a machine few people use."""
    authority = Authority.create(_folder(folder), name=name, days=days)
    until = authority.certificate.not_valid_after_utc
    key = authority.folder / "authority-key.pem"
    typer.echo(
        f"Authority {name!r} is in {authority.folder}, valid until {until:%Y-%m-%d}.\n"
        f"Its key {key} never leaves this machine; keep a backup offline.\n"
        "Next: `eucentric certs issue MACHINE --server --host HOST` for the agent, and\n"
        "`eucentric certs issue NAME --role scientist` for everybody who steers."
    )


@app.command()
def issue(
    name: Annotated[str, typer.Argument(help="Of the person, program or machine.")],
    folder: _Folder = None,
    role: Annotated[Role | None, typer.Option("--role", help="Of a person or program.")] = None,
    server: Annotated[bool, typer.Option("--server", help="For a machine that runs a service.")] = False,
    host: Annotated[
        list[str] | None, typer.Option("--host", help="DNS name or address of a server; may be repeated.")
    ] = None,
    days: _Days = 365,
    renew: Annotated[bool, typer.Option("--renew", help="Although NAME has a valid one.")] = False,
) -> None:
    """Issue a certificate, and say what to copy where."""
    if server != bool(host) or server == (role is not None):
        raise refused(
            "A certificate is for a person with a role or for a server with its hosts.",
            "give either --role ROLE, or --server and a --host for each name under which it is reached.",
        )
    issued = Authority(_folder(folder)).issue(name, role=role, hosts=host or (), days=days, renew=renew)
    typer.echo(_instructions(issued))


@app.command()
def revoke(which: _Which, folder: _Folder = None) -> None:
    """Revoke a certificate, or every one of a name; services with the new list refuse it at once."""
    authority = Authority(_folder(folder))
    for record in authority.revoke(which):
        typer.echo(f"Revoked {record.kind} {record.name!r}, serial {record.serial}.")
    typer.echo(
        f"Copy {authority.revocation_list} over each service's revoked.pem: it is read again as soon as it\n"
        "changes, also for connections that are open. Write to another name first and rename it."
    )


@app.command("list")
def list_(folder: _Folder = None, as_json: _Json = False) -> None:
    """List what was issued."""
    records = Authority(_folder(folder)).records()
    if as_json:
        typer.echo(json.dumps([record.model_dump(mode="json") for record in records], indent=2))
        return
    table = Table("name", "kind", "role or hosts", Column("serial", no_wrap=True), "until", "state")
    for record in records:
        role = record.role or ", ".join(record.hosts)
        table.add_row(record.name, record.kind, role, record.serial, _day(record), _state(record))
    Console().print(table)


@app.command()
def show(which: _Which, folder: _Folder = None, as_json: _Json = False) -> None:
    """Show what was issued to a name, or under a serial number."""
    records = Authority(_folder(folder)).find(which)
    if as_json:
        typer.echo(json.dumps([record.model_dump(mode="json") for record in records], indent=2))
        return
    for record in records:
        facts = {
            "name": record.name,
            "kind": record.kind,
            "role": record.role or "-",
            "hosts": ", ".join(record.hosts) or "-",
            "serial": record.serial,
            "SHA-256": record.fingerprint,
            "from": f"{record.valid_from:%Y-%m-%d %H:%M} UTC",
            "until": f"{record.valid_until:%Y-%m-%d %H:%M} UTC",
            "state": _state(record),
        }
        typer.echo("\n".join(f"{key:8} {value}" for key, value in facts.items()) + "\n")


def _folder(given: Path | None) -> Path:
    return given.expanduser().absolute() if given is not None else load_settings().home / "authority"


def _day(record: CertificateRecord) -> str:
    return f"{record.valid_until:%Y-%m-%d}"


def _state(record: CertificateRecord) -> str:
    if record.revoked_at is not None:
        return f"revoked {record.revoked_at:%Y-%m-%d}"
    return "valid" if record.valid_until > utc_now() else "expired"


def _instructions(issued: Issued) -> str:
    record, folder = issued
    server = record.kind == "server"
    where = "that runs the service" if server else "where they call from"
    holder = ", ".join(record.hosts) if server else record.role
    place = f"{_place()}/{_subfolder(record)}"
    return "\n".join(
        (
            f"Issued {record.kind} {record.name!r} ({holder}), serial {record.serial}, until {_day(record)}.",
            f"Move the folder {folder}",
            f"to the machine {where}, as {place}; key.pem must stay readable by its owner alone,",
            "and no copy of it belongs anywhere else.",
            *_advice(record),
            "In that machine's settings:",
            "",
            *_snippet(place, server=server),
        )
    )


def _place() -> str:
    """The home folder as settings write it: short where it is below the user's own."""
    home = load_settings().home
    if home.is_relative_to(Path.home()):
        return f"~/{home.relative_to(Path.home()).as_posix()}/tls"
    return f"{home.as_posix()}/tls"


def _subfolder(record: CertificateRecord) -> str:
    # Both may be on one machine, each with a key of its own.
    return "agent" if record.kind == "server" else record.name


def _snippet(place: str, *, server: bool) -> list[str]:
    files = ("authority", "certificate", "key", *(["revoked"] if server else []))
    reachable = [
        "[agent]",
        'host = "0.0.0.0"  # reachable from other machines; without it only from this one',
        "[agent.tls]",
    ]
    return [
        *(reachable if server else ["[client.tls]"]),
        *(f"{name} = {json.dumps(f'{place}/{name}.pem')}" for name in files),
    ]


def _advice(record: CertificateRecord) -> list[str]:
    missing = [host for host in ("localhost", "127.0.0.1") if host not in record.hosts]
    if record.kind == "person" or not missing:
        return []
    names = " ".join(f"--host {host}" for host in (*record.hosts, *missing))
    return [
        "Notebooks, the dashboard and flows on the machine itself will not accept it. For them:",
        f"  eucentric certs issue {shlex.quote(record.name)} --server {names} --renew",
    ]
