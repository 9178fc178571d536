"""`eucentric models resign`: after a key was stolen."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from eucentric_core import clear_errors

from ._cli_options import Config, Json, Model, open_catalogue, person

__all__ = ["resign_app"]

resign_app = typer.Typer()


@resign_app.command("resign")
def resign(
    which: Annotated[
        list[str] | None, typer.Argument(help="Versions or aliases; without: list what would have to be.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; part of their lineage.")] = "",
    config: Config = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Sign versions anew after their key was stolen: each is checked and becomes a new version.

    Whoever stole the key may have registered versions, too: name only those that you know.
    """
    from ._resigning import sign_versions_anew, versions_of_lost_keys

    with clear_errors():
        catalogue = open_catalogue(config, model)
        if not which:
            lost = versions_of_lost_keys(catalogue.registry, catalogue.name)
            if as_json:
                typer.echo(json.dumps([version.model_dump(mode="json") for version in lost]))
                return
            for version in lost:
                typer.echo(
                    f"v{version.version:<5} {version.registered_utc:%Y-%m-%d %H:%M} UTC  "
                    f"{version.lineage.trigger_id}  manifest {version.envelope_sha256}"
                )
            typer.echo(
                "next          compare the hashes with an edge or a backup, then name those that are good: "
                "`eucentric models resign VERSION … --reason …`"
                if lost
                else "Every version is signed by a key that counts, or was signed anew: nothing to do."
            )
            return
        versions = [catalogue.version(each).version for each in which]
        done = sign_versions_anew(
            catalogue.settings, catalogue.registry, catalogue.name, versions, reason=reason, who=person()
        )
    if as_json:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in done]))
        return
    for each in done:
        became = f"now v{each.new_version}" if each.new_version is not None else f"not taken: {each.reason}"
        typer.echo(f"v{each.version:<5} manifest {each.envelope_sha256[:16]}…  {became}")
    if any(each.new_version is not None for each in done):
        typer.echo("next          eucentric models promote VERSION --reason …")
