"""`eucentric globus login`, `show`, `check`, `logout`. globus-sdk is imported when one of them is given."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from eucentric_core import ConfigurationError, EucentricError, Settings, load_settings

from ._check import run_check
from ._flows import add_flow_commands

if TYPE_CHECKING:
    from eucentric_transfer.globus import GlobusAccount

__all__ = ["app"]

app = typer.Typer(help="Moving files by Globus Transfer.", no_args_is_help=True)

_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
_To = Annotated[
    str | None,
    typer.Option("--to", help="globus://COLLECTION/path; by default where the agent ships to."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


add_flow_commands(app)


@app.callback()
def _group() -> None:
    """Moving files by Globus Transfer: docs/globus.md says how to get an application and collections."""


@app.command()
def login(config: _Config = None, to: _To = None) -> None:
    """Log this machine in: a person by a page in a browser, a service by its secret."""
    settings = load_settings(config)
    collections = [name for name, _ in _collections(settings, to)]
    with _account(settings, asking=True) as account:
        account.log_in(collections)
        typer.echo(f"Logged in to Globus as {account.who()}.")
    typer.echo("Next: `eucentric globus check` sends a small file there and back.")


@app.command()
def logout(config: _Config = None) -> None:
    """Revoke this machine's tokens at Globus and forget them."""
    with _account(load_settings(config)) as account:
        if not account.logged_in():
            typer.echo("Nobody is logged in to Globus on this machine.")
            return
        account.log_out()
    typer.echo("Logged out: the tokens are revoked at Globus and removed here.")


@app.command()
def show(config: _Config = None, to: _To = None, as_json: _Json = False) -> None:
    """Show who is logged in, the collections, when tokens expire, and the tasks that run. Never a token."""
    settings = load_settings(config)
    with _account(settings) as account:
        facts = _facts(settings, account, _collections(settings, to))
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.echo(f"{'application':12} {facts['client_id']} ({facts['app']})")
    typer.echo(f"{'identity':12} {facts['identity'] or 'nobody is logged in: `eucentric globus login`'}")
    for collection in facts["collections"]:
        typer.echo(f"{collection['use']:12} {collection['id']} {collection['name']}")
    for token in facts["tokens"]:
        renewed = "; renewed by itself" if token["renewed"] else ""
        typer.echo(f"{'token':12} {token['service']}, {_duration(token['expires_in_s'])}{renewed}")
    for task in facts["active_tasks"]:
        typer.echo(f"{'task':12} {task['id']} {task['state']}: {task['label']}")
    if not facts["active_tasks"]:
        typer.echo(f"{'tasks':12} none running")


@app.command()
def check(
    config: _Config = None,
    to: _To = None,
    size_bytes: Annotated[int, typer.Option("--bytes", min=1, max=1 << 30, help="How much to send.")] = 65536,
    as_json: _Json = False,
) -> None:
    """Send a small file to the far end, fetch it back, compare the hashes, and remove it."""
    settings = load_settings(config)
    address = _far_end(settings, to)
    if address is None:
        raise _no_far_end()
    steps = run_check(settings, address, size_bytes, tell=None if as_json else typer.echo)
    if as_json:
        typer.echo(json.dumps({"to": address, "bytes": size_bytes, "steps": steps}, indent=2))
    else:
        typer.echo(f"{size_bytes} bytes went to {address} and came back unchanged.")


def _facts(settings: Settings, account: GlobusAccount, collections: list[tuple[str, str]]) -> dict[str, Any]:
    service = _globus().TransferService(account)
    known = account.settings.app == "service" or account.logged_in()
    return {
        "client_id": account.settings.client_id,
        "app": account.settings.app,
        "identity": (account.who() if account.logged_in() else account.settings.client_id) if known else None,
        "collections": [
            {"use": use, "id": name, "name": _name(service, name) if known else ""}
            for name, use in collections
        ],
        "tokens": [
            {
                "service": token.service,
                "scope": token.scope,
                "expires_in_s": round(token.expires_in_s),
                "renewed": token.refreshed or account.settings.app == "service",
            }
            for token in account.tokens()
        ],
        "active_tasks": [
            {"id": task, "state": state, "label": label}
            for task, state, label in (service.active_tasks() if known else ())
        ],
    }


def _name(service: Any, collection: str) -> str:
    try:
        return str(service.name_of(collection))
    except EucentricError as error:
        return f"- {error.what}"


def _account(settings: Settings, *, asking: bool = False) -> GlobusAccount:
    globus = _globus()
    return globus.GlobusAccount(settings.globus.within(settings.home), ask_code=_ask_code if asking else None)


def _globus() -> ModuleType:
    try:
        import eucentric_transfer.globus
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"This command needs a package that is not installed here: {error.name}.",
            safe="nothing was done.",
            next_step='pip install "eucentric[globus]"',
        ) from error
    return eucentric_transfer.globus


def _ask_code(url: str) -> str:
    typer.echo("Open this page in a browser, on any machine, log in and agree:\n")
    typer.echo(f"  {url}\n")
    code: str = typer.prompt("The code it shows then")
    return code


def _far_end(settings: Settings, to: str | None) -> str | None:
    address = to or settings.agent.ship_to or ""
    return address if urlsplit(address).scheme == "globus" else None


def _collections(settings: Settings, to: str | None) -> list[tuple[str, str]]:
    """Ids of the collections that the settings name, and what for."""
    found = []
    if settings.globus.source_collection is not None:
        found.append((settings.globus.source_collection, "source"))
    if (address := _far_end(settings, to)) is not None:
        found.append((_globus().GlobusAddress.parse(address).collection, "destination"))
    return found


def _no_far_end() -> ConfigurationError:
    return ConfigurationError(
        "The settings name no collection to send to.",
        safe="nothing was sent.",
        next_step="give --to globus://COLLECTION/path, or set `ship_to` in the section [agent] to it.",
    )


def _duration(seconds: float) -> str:
    return "expired" if seconds <= 0 else f"valid for {seconds / 3600:.1f} h"
