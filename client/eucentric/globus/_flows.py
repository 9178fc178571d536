"""`eucentric globus export-flow` and `register-function`: our flows for sites that use Globus Flows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from eucentric_core import ConfigurationError, ServiceUnavailableError, load_settings, write_atomic

__all__ = ["add_flow_commands"]


def add_flow_commands(app: typer.Typer) -> None:
    """Give `eucentric globus` its commands for Globus Flows."""
    app.command("export-flow")(export_flow)
    app.command("register-function")(register_function)


def export_flow(
    name: Annotated[str, typer.Argument(help="Of the flow, as `eucentric flows ls` shows it.")],
    folder: Annotated[Path, typer.Option("--to", help="Folder for the two documents.")] = Path(),
) -> None:
    """Write a flow as Globus Flows takes it: NAME.definition.json and NAME.input-schema.json."""
    from eucentric_flows.catalogue import FLOWS
    from eucentric_flows.globus_flow import REMOTE_FLOWS, problems_of
    from eucentric_flows.globus_flow import export_flow as exported

    if name not in FLOWS:
        raise ConfigurationError(
            f"There is no flow {name!r}.",
            safe="nothing was written.",
            next_step=f"use one of {', '.join(REMOTE_FLOWS)}.",
        )
    flow = exported(FLOWS[name])
    problems = problems_of(flow.definition, flow.input_schema)
    if problems:
        raise ConfigurationError(
            f"The flow {name} cannot be exported: {problems[0]}.",
            safe="nothing was written.",
            next_step="report this: it is a fault of eucentric.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    definition, schema = folder / f"{name}.definition.json", folder / f"{name}.input-schema.json"
    write_atomic(definition, json.dumps(flow.definition, indent=2).encode())
    write_atomic(schema, json.dumps(flow.input_schema, indent=2).encode())
    typer.echo(f"wrote {definition} and {schema}")
    typer.echo(f"globus flows create '{flow.title}' {definition} --input-schema {schema}")


def register_function(
    config: Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")] = None,
    training: Annotated[
        bool, typer.Option("--training", help="The one that trains at a cluster, for its allow-list.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Register the function that exported flows call (or that trains), and print its id for an allow-list."""
    settings = load_settings(config)
    try:
        from globus_compute_sdk import Client
        from globus_compute_sdk.serialize import DillCode
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "The client of Globus Compute is not installed.",
            safe="nothing was registered.",
            next_step="pip install 'eucentric[hub,globus-compute]'",
        ) from error
    from globus_sdk.exc import GlobusError

    from eucentric_flows.globus_flow import carry_out
    from eucentric_hpc.executors import run_call
    from eucentric_transfer.globus import GlobusAccount

    with GlobusAccount(settings.globus.within(settings.home)) as account:
        try:
            # By reference: the endpoint has this package, and a function's source would miss its module.
            by_name = DillCode()  # type: ignore[no-untyped-call]
            client = Client(app=account.app, code_serialization_strategy=by_name)
            identity = str(client.register_function(run_call if training else carry_out))
        except GlobusError as error:
            raise ServiceUnavailableError(
                f"Globus Compute did not register the function: {error}.",
                safe="nothing was registered.",
                next_step="check the section [globus]; `eucentric globus login` logs in.",
            ) from error
    if as_json:
        typer.echo(json.dumps({"function_id": identity}))
    else:
        typer.echo(f"function {identity}")
        typer.echo("In the endpoint's config.yaml: allowed_functions:")
        typer.echo(f"  - {identity}")
