"""`eucentric keys new|add|sign|import-signature`: people who sign on their own machines."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eucentric_core import (
    BUNDLE_ENVELOPE,
    ConfigurationError,
    Settings,
    TrustedKeys,
    clear_errors,
    load_settings,
    sha256_file,
)

from ._cli_keys import Locked, tell_keys
from ._cli_options import Config, Json, ask_passphrase, key_role, open_catalogue
from ._key_folder import KeyFolder

if TYPE_CHECKING:
    from eucentric_core.releases import Release

    from ._signing_request import SigningRequest

__all__ = ["cosign_app"]

cosign_app = typer.Typer()


@cosign_app.command("new")
def make_key(
    private_key: Annotated[Path, typer.Argument(help="File to write, for example bob.pem.")],
    as_json: Json = False,
    locked: Locked = False,
) -> None:
    """Make a key of your own, on your own machine; the public half goes to the hub."""
    from ._cosigning import make_personal_key

    with clear_errors():
        public = make_personal_key(private_key, passphrase=ask_passphrase(locked, twice=True))
        (key_id,) = TrustedKeys.read(public).keys
    if as_json:
        facts = {"private_key": str(private_key), "public_key": str(public), "key_id": key_id}
        typer.echo(json.dumps(facts))
        return
    typer.echo(f"private key   {private_key} (stays with you; nobody else needs it)")
    typer.echo(f"key           {key_id} (read it out to the hub, who sees it in `eucentric keys show`)")
    typer.echo(f"public key    {public} (send it to the hub: `eucentric keys add signing {public.name} …`)")


@cosign_app.command("add")
def add(
    role: Annotated[str, typer.Argument(help="root or signing.")],
    public_key: Annotated[Path, typer.Argument(help="The other person's NAME.pub.json.")],
    threshold: Annotated[int, typer.Option(help="How many of the role's keys must sign from now on.", min=1)],
    config: Config = None,
    as_json: Json = False,
    root_key: Annotated[
        list[Path] | None, typer.Option("--root-key", help="A private root key that lies elsewhere. Repeat.")
    ] = None,
    locked: Locked = False,
) -> None:
    """Have another person's key count, in a new root; edges follow by themselves."""
    from ._cosigning import add_key
    from ._errors import SignaturesMissingError

    with clear_errors():
        checked = key_role(role, next_step="name root or signing.")
        settings = load_settings(config)
        # What waits for signatures is told with the keys; that is how it goes, and no failure.
        with suppress(SignaturesMissingError):
            add_key(
                KeyFolder.of(settings),
                settings.releases_path,
                checked,
                public_key,
                threshold=threshold,
                root_files=tuple(root_key or ()),
                passphrase=ask_passphrase(locked),
            )
        tell_keys(settings, as_json)


@cosign_app.command("sign")
def sign(
    request: Annotated[Path, typer.Argument(help="The request, from the hub.")],
    key: Annotated[list[Path], typer.Option("--key", help="Your private key. Repeat for several.")],
    to: Annotated[
        Path | None, typer.Option("--to", help="The answer; by default NAME.signed.json beside the request.")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Folder of the bundle that you looked at: it must be the released one."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without being asked.")] = False,
    locked: Locked = False,
) -> None:
    """Read what waits for a signature, and sign it on this machine. Needs no settings and no network."""
    from ._keys import load_signer
    from ._signing_request import SigningRequest

    with clear_errors():
        asked = SigningRequest.read(request)
        for line in asked.described():
            typer.echo(f"  {line}")
        if bundle is not None:
            _require_released(asked, bundle)
            typer.echo(f"  ok  {bundle} is the bundle that is released")
        if not yes and not typer.confirm("Sign this?"):
            raise ConfigurationError(
                "It was not signed.", safe="nothing was written.", next_step="tell the hub why."
            )
        passphrase = ask_passphrase(locked)
        answer = to or request.with_name(f"{request.name.partition('.')[0]}.signed.json")
        asked.signed_by([load_signer(path, passphrase=passphrase) for path in key]).write(answer)
    typer.echo(f"signed        {answer} (back to the hub: `eucentric keys import-signature {answer.name}`)")


@cosign_app.command("import-signature")
def import_signature(
    answer: Annotated[Path, typer.Argument(help="What came back from the other machine.")],
    config: Config = None,
    as_json: Json = False,
    locked: Locked = False,
) -> None:
    """Add a signature from another machine; once they suffice, what waited is in force and edges are told."""
    from ._cosigning import take_signature
    from ._signing_request import SigningRequest

    with clear_errors():
        settings = load_settings(config)
        signed = SigningRequest.read(answer)
        taken = take_signature(
            KeyFolder.of(settings), settings.releases_path, signed, passphrase=ask_passphrase(locked)
        )
        if as_json:
            typer.echo(taken.model_dump_json())
        elif not taken.in_force:
            typer.echo(f"taken         {taken.role}: the next person signs {taken.request}")
        else:
            typer.echo(f"in force      {taken.role}")
            if taken.to_do:
                typer.echo(f"to do         {taken.to_do}")
        if taken.releases:
            _promote(settings, config, taken.releases, quiet=as_json)


def _require_released(asked: SigningRequest, bundle: Path) -> None:
    digest = sha256_file(bundle / BUNDLE_ENVELOPE)
    if digest not in {release.envelope_sha256 for release in asked.releases().values()}:
        raise ConfigurationError(
            f"{bundle} is not what this request releases.",
            safe="nothing was signed.",
            next_step="ask the hub which bundle it means (`eucentric models export`).",
        )


def _promote(settings: Settings, config: Path | None, releases: tuple[Release, ...], *, quiet: bool) -> None:
    from ._moving import move_champion

    for release in releases:
        catalogue = open_catalogue(config, release.model)
        moved = move_champion(
            settings,
            catalogue.registry,
            release.model,
            release.bundle_version,
            reason=release.reason,
            who=release.who,
        )
        if not quiet:
            typer.echo(f"champion      {release.model} v{release.bundle_version}, release {release.number}")
            typer.echo(f"edge          {moved.deployment.sentence}")
