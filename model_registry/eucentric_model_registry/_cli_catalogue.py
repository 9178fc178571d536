"""`eucentric models ls|history|show|compare|server`: looking at the catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from eucentric_core import clear_errors, load_settings

from ._cli_options import Config, Json, Model, Which, open_catalogue
from ._telling import compare_figures, deployment_sentences, tell_history

__all__ = ["catalogue_app"]

catalogue_app = typer.Typer()


@catalogue_app.command("ls")
def list_models(config: Config = None, model: Model = None, as_json: Json = False) -> None:
    """List the versions of a model: what each is, where it serves, and where it comes from."""
    with clear_errors():
        catalogue = open_catalogue(config, model)
        versions = catalogue.registry.versions(catalogue.name)
        deployments = catalogue.registry.deployments.history(catalogue.name)
    states = {version.version: deployment_sentences(version.version, deployments) for version in versions}
    if as_json:
        typer.echo(
            json.dumps(
                [
                    version.model_dump(mode="json") | {"deployments": list(states[version.version])}
                    for version in versions
                ]
            )
        )
        return
    if not versions:
        typer.echo(f"Model {catalogue.name!r} has no versions. `eucentric flows bootstrap` makes the first.")
        return
    table = Table("version", "aliases", "edges", "registered (UTC)", "policy", "trigger", "data sets")
    for version in versions:
        table.add_row(
            f"v{version.version}",
            ", ".join(version.aliases),
            "\n".join(states[version.version]),
            f"{version.registered_utc:%Y-%m-%d %H:%M:%S}",
            version.lineage.policy or "",
            version.lineage.trigger_id,
            ", ".join(version.lineage.datasets),
        )
    Console().print(table)


@catalogue_app.command("history")
def show_history(config: Config = None, model: Model = None, as_json: Json = False) -> None:
    """Tell which version was champion since when, why, who decided, and what edges made of it."""
    with clear_errors():
        catalogue = open_catalogue(config, model)
        history = catalogue.registry.history(catalogue.name)
        deployments = catalogue.registry.deployments.history(catalogue.name)
    if as_json:
        typer.echo(json.dumps([promotion.model_dump(mode="json") for promotion in history]))
        return
    table = Table("when (UTC)", "what", "version", "before", "who", "reason")
    for line in tell_history(history, deployments):
        before = "" if line.before is None else f"v{line.before}"
        table.add_row(
            f"{line.at_utc:%Y-%m-%d %H:%M:%S}", line.what, f"v{line.version}", before, line.who, line.reason
        )
    Console().print(table)


@catalogue_app.command("show")
def show_version(
    which: Which = "champion", config: Config = None, model: Model = None, as_json: Json = False
) -> None:
    """Show one version: figures, lineage, environment, promotions, releases and where it served."""
    with clear_errors():
        catalogue = open_catalogue(config, model)
        version = catalogue.version(which)
        history = [
            promotion
            for promotion in catalogue.registry.history(catalogue.name)
            if version.version in (promotion.version, promotion.previous_version)
        ]
        deployments = [
            deployment
            for deployment in catalogue.registry.deployments.history(catalogue.name)
            if deployment.version == version.version
        ]
    if as_json:
        facts = version.model_dump(mode="json")
        facts["promotions"] = [promotion.model_dump(mode="json") for promotion in history]
        facts["deployments"] = [deployment.model_dump(mode="json") for deployment in deployments]
        typer.echo(json.dumps(facts))
        return
    lineage = version.lineage
    rows = {
        "model": f"{version.name} v{version.version} ({', '.join(version.aliases) or 'no alias'})",
        "registered": f"{version.registered_utc:%Y-%m-%d %H:%M:%S} UTC",
        "policy": lineage.policy or "none",
        "trigger": lineage.trigger_id,
        "data sets": ", ".join(lineage.datasets) or "none",
        "trained from": lineage.trained_from or "nothing",
        "code": lineage.code_version,
        "training run": lineage.run_id,
        "MLflow run": version.run_id,
        "manifest": f"sha256 {version.envelope_sha256[:16]}…",
    }
    if version.environment:
        rows["made with"] = ", ".join(f"{name} {what}" for name, what in version.environment.items())
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(name, value)
    console = Console()
    console.print(table)
    figures = Table("figure", "value")
    for name, number in sorted(version.metrics.items()):
        figures.add_row(name, f"{number:.4g}")
    console.print(figures)
    for promotion in history:
        said = promotion.kind.replace("_", " ")
        console.print(
            f"{promotion.promoted_utc:%Y-%m-%d %H:%M:%S} {said} to v{promotion.version} by {promotion.who}: "
            f"{promotion.reason}",
            highlight=False,
        )
    for deployment in deployments:
        console.print(f"{deployment.since_utc:%Y-%m-%d %H:%M:%S} {deployment.sentence}", highlight=False)


@catalogue_app.command("compare")
def compare(
    first: Which = "champion",
    second: Which = "challenger",
    config: Config = None,
    model: Model = None,
    as_json: Json = False,
    page: Annotated[
        Path | None,
        typer.Option("--page", help="Fetch the page with the evidence of the second to this file."),
    ] = None,
) -> None:
    """Compare the figures of two versions; fetch the page on which one was judged against its champion."""
    with clear_errors():
        catalogue = open_catalogue(config, model)
        one, other = catalogue.version(first), catalogue.version(second)
        stored = catalogue.registry.evidence_page(catalogue.name, other.version) if page else None
        if page is not None and stored is not None:
            page.write_bytes(stored)
    figures = compare_figures(one, other)
    if as_json:
        facts = {
            "model": catalogue.name,
            "versions": [one.version, other.version],
            "figures": {figure.name: [figure.first, figure.second] for figure in figures},
            "page": None if stored is None else str(page),
        }
        typer.echo(json.dumps(facts))
        return
    table = Table("figure", f"v{one.version} ({first})", f"v{other.version} ({second})", "difference")
    for figure in figures:
        values = (figure.first, figure.second)
        told = ("" if value is None else f"{value:.4g}" for value in values)
        difference = "" if figure.difference is None else f"{figure.difference:+.4g}"
        table.add_row(figure.name, *told, difference)
    Console().print(table)
    if page is not None:
        typer.echo(
            f"the evidence of v{other.version} is in {page}"
            if stored is not None
            else f"v{other.version} was judged without a page of evidence"
        )


@catalogue_app.command()
def server(config: Config = None) -> None:
    """Run a local MLflow server at hub.mlflow_url, until SIGTERM or Ctrl-C."""
    from ._server import mlflow_server_of

    with clear_errors():
        local = mlflow_server_of(load_settings(config))
    local.replace_this_process()
