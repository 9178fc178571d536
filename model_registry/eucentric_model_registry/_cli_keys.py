"""`eucentric keys`: make, replace, renew and show what a site's releases are signed with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from eucentric_core import ConfigurationError, Settings, TrustedKeys, clear_errors, load_settings, utc_now

from ._cli_options import Config, Json, ask_passphrase, key_role
from ._key_folder import KeyFolder

if TYPE_CHECKING:
    from tuf.api.metadata import Root

__all__ = ["Locked", "keys_app", "tell_keys"]

keys_app = typer.Typer(name="keys", help="Keys that sign model bundles and releases.", no_args_is_help=True)

_TUF_ROLE = {"root": "root", "signing": "targets", "online": "timestamp"}
_SIGNS = {
    "root": "says whose signatures count; belongs offline",
    "signing": "bundles and releases; stays on the hub",
    "online": "that nothing newer exists, every few days",
}
Locked = Annotated[
    bool, typer.Option("--passphrase", help="Lock the private keys; asked for, or EUCENTRIC_KEY_PASSPHRASE.")
]


@keys_app.command("init")
def init_keys(
    config: Config = None,
    as_json: Json = False,
    root_keys: Annotated[int, typer.Option(help="How many root keys.", min=1, max=16)] = 1,
    root_threshold: Annotated[int, typer.Option(help="How many of them must sign a new root.", min=1)] = 1,
    root_folder: Annotated[
        Path | None, typer.Option(help="Where the root keys go: a medium that is locked away afterwards.")
    ] = None,
    signing_keys: Annotated[int, typer.Option(help="How many signing keys.", min=1, max=16)] = 1,
    signing_threshold: Annotated[int, typer.Option(help="How many must sign a release.", min=1)] = 1,
    locked: Locked = False,
) -> None:
    """Make the keys of this site and its first root. Never overwrites; a signing key that exists is taken."""
    from ._key_ceremony import create_trust

    with clear_errors():
        settings = load_settings(config)
        create_trust(
            KeyFolder.of(settings),
            settings.releases_path,
            root_folder=root_folder,
            root_keys=root_keys,
            root_threshold=root_threshold,
            signing_keys=signing_keys,
            signing_threshold=signing_threshold,
            passphrase=ask_passphrase(locked, twice=True),
        )
        tell_keys(settings, as_json)


@keys_app.command("rotate")
def rotate(
    role: Annotated[str, typer.Argument(help="root, signing or online.")],
    config: Config = None,
    as_json: Json = False,
    root_key: Annotated[
        list[Path] | None, typer.Option("--root-key", help="A private root key that lies elsewhere. Repeat.")
    ] = None,
    compromised: Annotated[
        bool, typer.Option("--compromised", help="Bundles the old signing key signed no longer count.")
    ] = False,
    locked: Locked = False,
) -> None:
    """Replace a key. Edges follow by themselves; the old private key is kept in `former/`."""
    from ._key_ceremony import rotate_key

    with clear_errors():
        checked = key_role(role, next_step="name root, signing or online.")
        settings = load_settings(config)
        rotate_key(
            KeyFolder.of(settings),
            settings.releases_path,
            checked,
            root_files=tuple(root_key or ()),
            compromised=compromised,
            passphrase=ask_passphrase(locked),
        )
        tell_keys(settings, as_json)


@keys_app.command("refresh")
def refresh(config: Config = None, as_json: Json = False, locked: Locked = False) -> None:
    """Sign anew what runs out. For a daily timer; without it edges refuse to install after two weeks."""
    from ._release_book import ReleaseBook

    with clear_errors():
        settings = load_settings(config)
        _require_root(settings)
        book = ReleaseBook(settings.releases_path, KeyFolder.of(settings), passphrase=ask_passphrase(locked))
        renewal = book.refresh()
    if as_json:
        typer.echo(renewal.model_dump_json())
        return
    typer.echo(f"signed anew    {', '.join(renewal.renewed) or 'nothing, all is fresh'}")
    typer.echo(f"fresh until    {renewal.fresh_until_utc:%Y-%m-%d %H:%M} UTC")
    for warning in renewal.warnings:
        typer.echo(f"to do          {warning}")


@keys_app.command("show")
def show_keys(config: Config = None, as_json: Json = False) -> None:
    """Show which keys count for what, until when, and which private ones lie here. None is printed."""
    with clear_errors():
        tell_keys(load_settings(config), as_json)


def tell_keys(settings: Settings, as_json: bool) -> None:
    """Print which keys count for what."""
    keys = KeyFolder.of(settings)
    trusted = TrustedKeys.read(keys.trusted)
    root = _root(settings)
    facts: dict[str, Any] = {
        "signing_key": str(keys.signing),
        "trusted_keys": str(keys.trusted),
        "threshold": trusted.threshold,
        "key_ids": sorted(trusted.keys),
        "root": None if root is None else str(keys.root),
        "releases": str(settings.releases_path),
        "roles": {} if root is None else _roles(root, keys),
        "waiting": [str(path) for path in sorted(keys.waiting.glob("*.request.json"))],
    }
    if as_json:
        typer.echo(json.dumps(facts))
        return
    typer.echo(f"signing key   {keys.signing} (stays on the hub)")
    if root is None:
        typer.echo(f"trusted keys  {keys.trusted} (copy to every edge)")
        for key_id in sorted(trusted.keys):
            typer.echo(f"key           {key_id}")
        typer.echo("to do         no root yet: `eucentric keys init` adds releases, rotation and expiry")
        return
    typer.echo(f"root          {keys.root} (copy to every edge, once)")
    typer.echo(f"releases      {settings.releases_path} (edges read it; nothing in it is secret)")
    table = Table("role", "signs", "needs", "private here")
    for role, known in facts["roles"].items():
        table.add_row(
            role,
            _SIGNS[role],
            f"{known['threshold']} of {len(known['key_ids'])}",
            "\n".join(Path(path).name for path in known["private_here"]) or "none",
        )
    Console().print(table)
    for role, known in facts["roles"].items():
        for key_id in known["key_ids"]:
            typer.echo(f"key           {key_id} {role}")
    typer.echo(f"root version  {root.version}, expires {root.expires:%Y-%m-%d}")
    for path in facts["waiting"]:
        typer.echo(f"to do         {path} waits for signatures (`eucentric keys sign` on the other machine)")
    if keys.root_keys and root.expires > utc_now():
        typer.echo("to do         move the root keys to a medium that is locked away, and one copy elsewhere")


def _roles(root: Root, keys: KeyFolder) -> dict[str, dict[str, Any]]:
    return {
        role: {
            "threshold": root.roles[tuf_role].threshold,
            "key_ids": sorted(root.roles[tuf_role].keyids),
            "private_here": [str(path) for path in keys.files_of(role)],  # type: ignore[arg-type]
        }
        for role, tuf_role in _TUF_ROLE.items()
    }


def _root(settings: Settings) -> Root | None:
    if not any((settings.releases_path / "metadata").glob("*.root.json")):
        return None
    from ._metadata_store import MetadataStore

    return MetadataStore(settings.releases_path / "metadata").root().signed


def _require_root(settings: Settings) -> None:
    if _root(settings) is None:
        raise ConfigurationError(
            f"{settings.releases_path} holds no root metadata.",
            safe="nothing was signed.",
            next_step="make the keys of this site with `eucentric keys init`.",
        )
