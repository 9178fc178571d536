"""`eucentric hub init`, `up`, `status`, `backup`, `upgrade`, `restore`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eucentric_core import clear_errors, configure_logging, load_settings, service_lifetime, utc_now

if TYPE_CHECKING:
    from ._supervised import SupervisedView

__all__ = ["app"]

app = typer.Typer(
    name="hub", help="A site's hub: set up, run, look at, copy and put back.", no_args_is_help=True
)

_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback()
def _group() -> None:
    """A site's hub (docs/hub.md): PostgreSQL, Prefect, MLflow, repository, flows, dashboard, TLS in front."""


@app.command()
def init(
    config: _Config = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Write anew what differs; what was edited by hand is kept beside."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be written.")] = False,
    as_json: _Json = False,
) -> None:
    """Write everything a hub needs into HOME/hub, and make its secrets. Asks nothing, overwrites nothing."""
    from ._folder import HubFolder
    from ._render import plan_changes, render, write_changes
    from ._secrets import make_secrets, write_derived

    with clear_errors():
        settings = load_settings(config)
        folder = HubFolder(settings.home)
        files = render(settings)
        changes = plan_changes(folder, files)
        kept: tuple[Path, ...] = ()
        made: tuple[str, ...] = ()
        if not dry_run:
            kept = write_changes(folder, changes, replace=replace, now=utc_now())
            made = make_secrets(folder)
            write_derived(folder, load_settings(folder.settings))
    said = {change.file.name: change.state for change in changes}
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "folder": str(folder.root),
                    "files": said,
                    "secrets_made": list(made),
                    "kept": [str(path) for path in kept],
                    "written": not dry_run,
                }
            )
        )
        return
    for name, state in said.items():
        typer.echo(f"{state:9} {folder.root / name}")
    for name in made:
        typer.echo(f"secret    {folder.secrets / name}")
    for path in kept:
        typer.echo(f"kept      {path}")
    if dry_run:
        typer.echo("nothing was written")
        return
    certificate, _ = folder.certificate(settings)
    typer.echo(f"\nNext, if {certificate} is not there yet: a certificate for {settings.hub.server.name}.")
    typer.echo(f"Then start it: eucentric hub up --config {folder.settings}")
    typer.echo(f"or by systemd, as root: cp {folder.root}/systemd/* /etc/systemd/system/")
    typer.echo(
        "  systemctl daemon-reload && systemctl enable --now eucentric-hub.target eucentric-hub-backup.timer"
    )


@app.command()
def up(config: _Config = None) -> None:
    """Run every service here, in the foreground and watched, until SIGTERM or Ctrl-C."""
    from ._folder import open_hub
    from ._supervisor import supervise

    with clear_errors():
        settings, folder = open_hub(config)
        configure_logging("hub", settings.logs)
        said: dict[str, str] = {}
        announced = False
        with service_lifetime("hub", settings.home) as lifetime:

            def tell(views: Mapping[str, SupervisedView]) -> None:
                nonlocal announced
                for name, view in views.items():
                    if said.get(name) != view.state:
                        said[name] = view.state
                        why = f" ({view.said})" if view.said and view.state in ("resting", "given up") else ""
                        typer.echo(f"{view.since_utc:%H:%M:%S} {name:10} {view.state}{why}")
                if not announced and all(view.state == "up" for view in views.values()):
                    announced = True
                    server = settings.hub.server
                    lifetime.announce_ready({"services": list(views)})
                    typer.echo(f"the hub is up: https://{server.name}:{server.dashboard_port}/")

            supervise(settings, folder, lifetime.stopping, on_change=tell)
    typer.echo("stopped")


@app.command(hidden=True)
def run(
    service: Annotated[str, typer.Argument(help="Of the hub.")],
    config: _Config = None,
) -> None:
    """Become one service of the hub; for systemd, containers and `hub up`."""
    from eucentric_core import ConfigurationError

    from ._folder import open_hub
    from ._processes import note_started
    from ._services import SERVICES, program_version, server_of
    from ._waiting import wait_for_needed

    with clear_errors():
        settings, folder = open_hub(config)
        if service not in SERVICES:
            raise ConfigurationError(
                f"A hub has no service {service!r}.",
                safe="nothing was started.",
                next_step=f"use one of {', '.join(SERVICES)}.",
            )
        # Before the service is prepared: PostgreSQL's account may not write here.
        note_started(folder, service, program_version(service, settings, folder))
        wait_for_needed(service, settings, folder)
        server = server_of(service, settings, folder)
    server.replace_this_process()


@app.command()
def status(config: _Config = None, as_json: _Json = False) -> None:
    """Show every service, what waits, disk, backups and what expires; exit status 1 if something is wrong."""
    from ._folder import open_hub
    from ._report import report

    with clear_errors():
        settings, folder = open_hub(config)
        found = report(settings, folder)
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        from ._view import print_report

        print_report(found, utc_now())
    if found.problems:
        raise typer.Exit(1)


@app.command()
def backup(config: _Config = None, as_json: _Json = False) -> None:
    """Copy what the hub knows into one verified archive, while it runs."""
    from ._folder import open_hub
    from .backup import make_backup

    with clear_errors():
        settings, folder = open_hub(config)
        made = make_backup(settings, folder, say=_say)
    manifest = made.manifest
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "archive": str(made.path),
                    "bytes": made.path.stat().st_size,
                    "members": len(manifest.members),
                    "secrets": manifest.secrets,
                    "data": manifest.data,
                    "removed": [str(path) for path in made.removed],
                }
            )
        )
    else:
        size = made.path.stat().st_size / 2**20
        typer.echo(f"{made.path}: {len(manifest.members)} files, {size:.1f} MiB, verified")
        for path in made.removed:
            typer.echo(f"removed {path.name}, one more than hub.server.backup.keep")
    if manifest.secrets == "left out":
        typer.echo(
            "! THE SECRETS ARE NOT IN IT: passwords, logins, and the keys that sign releases. Set "
            "hub.server.backup.passphrase_file, or keep copies of them elsewhere.",
            err=True,
        )
    if manifest.data == "documents":
        typer.echo(
            "! The repository's shards are not in it (hub.server.backup.data): see repository.archives.",
            err=True,
        )


@app.command()
def upgrade(config: _Config = None) -> None:
    """After new packages were installed, with the hub stopped: copy it, then migrate its databases."""
    from ._folder import open_hub
    from ._upgrade import upgrade as bring_up_to_date

    with clear_errors():
        settings, folder = open_hub(config)
        archive = bring_up_to_date(settings, folder, say=_say)
    typer.echo("the databases fit the installed packages; start the hub, then look: eucentric hub status")
    typer.echo(f"the way back: the former packages, and `eucentric hub restore {archive}` into an empty home")


@app.command()
def restore(
    archive: Annotated[Path, typer.Argument(help="An archive that `eucentric hub backup` made.")],
    home: Annotated[
        Path | None, typer.Option("--home", help="Where the hub comes to lie; by default where it lay.")
    ] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", help="Opens the secrets; readable by you alone.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would be done.")] = False,
) -> None:
    """Put a hub back on an empty machine; checks everything, overwrites nothing."""
    from .backup import plan_restore
    from .backup import restore as put_back

    with clear_errors():
        plan = plan_restore(archive, home=home, passphrase_file=passphrase_file, say=_say)
        for line in plan.lines:
            typer.echo(line)
        if not yes:
            typer.echo("nothing was written; give --yes to do it")
            return
        settings = put_back(plan, say=_say)
    typer.echo(f"restored into {settings.home}; every database has the rows it had")
    typer.echo(f"Next: eucentric hub up --config {settings.home}/hub/eucentric.toml, or its systemd units.")
    typer.echo(
        "Then `eucentric keys refresh`. If edges have seen releases newer than this backup, they refuse"
    )
    typer.echo("older ones: `eucentric keys rotate online` first (docs/hub.md).")


def _say(line: str) -> None:
    typer.echo(line, err=True)
