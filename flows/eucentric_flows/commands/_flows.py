"""`eucentric flows ls` and `eucentric flows run`: what can be run, and running it."""

from __future__ import annotations

import getpass
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from eucentric_core import ConfigurationError, Settings, clear_errors, load_settings

if TYPE_CHECKING:
    from ..catalogue import FlowSpec

__all__ = ["add_flow_commands"]

_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
_POLL_S = 0.25
_BEGIN_S = 60.0


def add_flow_commands(app: typer.Typer) -> None:
    """Give `eucentric flows` its commands for people."""
    app.command("ls")(list_flows)
    app.command("run")(run_flow)


def list_flows(
    name: Annotated[str | None, typer.Argument(help="One flow: shows its parameters.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the flows, or the parameters of one."""
    from ..catalogue import FLOWS
    from ..desk import FILLED_IN, flow_named

    with clear_errors():
        specs = list(FLOWS.values()) if name is None else [flow_named(name)]
    if as_json:
        told = {
            spec.name: {"summary": spec.summary, "schema": spec.request.model_json_schema()} for spec in specs
        }
        typer.echo(json.dumps(told))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if name is None:
        table = Table("flow", "what it does", "parameters")
        for spec in specs:
            own = [field for field in spec.request.model_fields if field not in ("trigger_id", *FILLED_IN)]
            table.add_row(spec.name, spec.summary, ", ".join(own))
        console.print(table)
        return
    table = Table("parameter", "kind", "default", "meaning")
    for row in _parameters(specs[0].request.model_json_schema(), ""):
        table.add_row(*row)
    console.print(table)


def run_flow(
    name: Annotated[str, typer.Argument(help="The flow, as `eucentric flows ls` shows it.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="NAME=VALUE; inner names with dots: plan.rows=4."),
    ] = None,
    config: _Config = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would do and take; nothing is started.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Wait until it has ended, and show it meanwhile.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run a flow; Ctrl-C stops watching, not the flow."""
    from ..desk import flow_named, order_flow
    from ..runs import RunRecord, runs_path
    from ._runs import as_json_object, picture

    with clear_errors():
        settings = load_settings(config)
        spec = flow_named(name)
        request = _request(spec, parameter or [])
        if dry_run:
            _show_estimate(settings, spec, request, as_json=as_json)
            return
        trigger_id = order_flow(settings, spec, request)
        if not as_json or not wait:
            typer.echo(f"run {trigger_id} of {spec.name} is ordered", err=as_json)
        if not wait:
            return
        ordered_s, said = time.monotonic(), ""
        with RunRecord(runs_path(settings)) as record:
            while not (found := record.known(trigger_id)) or not found.over:
                if found is None and time.monotonic() > ordered_s + _BEGIN_S:
                    raise ConfigurationError(
                        f"Run {trigger_id} has not begun within {_BEGIN_S:g} s.",
                        safe="it is ordered, and begins once the service runs.",
                        next_step="start `eucentric flows serve`; see it with `eucentric run show`.",
                    )
                if found is not None and found.doing is not None:
                    now = f"{found.doing.name}: {found.doing.message}"
                    if now != said and not as_json:
                        typer.echo(now, err=True)
                    said = now
                time.sleep(_POLL_S)
    typer.echo(json.dumps(as_json_object(found)) if as_json else "\n".join(picture(found)))
    if found.state not in ("done", "promoted"):
        raise typer.Exit(1)


def _request(spec: FlowSpec[Any], words: list[str]) -> Any:
    from ..desk import refused_request, request_of

    given: dict[str, Any] = {}
    for word in words:
        path, equals, text = word.partition("=")
        if not equals:
            raise ConfigurationError(
                f"{word!r} is not NAME=VALUE.",
                safe="nothing was started.",
                next_step=f"`eucentric flows ls {spec.name}` lists the names.",
            )
        *outer, last = path.split(".")
        place = given
        for name in outer:
            place = place.setdefault(name, {})
        try:
            place[last] = json.loads(text)
        except ValueError:
            place[last] = text
    try:
        return request_of(spec, given, by=getpass.getuser())
    except ValidationError as error:
        raise refused_request(spec, error) from error


def _show_estimate(settings: Settings, spec: FlowSpec[Any], request: Any, *, as_json: bool) -> None:
    from ..desk import estimate_flow, estimate_lines
    from ..runs import RunRecord, runs_path

    with RunRecord(runs_path(settings)) as record:
        estimate = estimate_flow(settings, spec, request, record.runs(limit=500))
    typer.echo(estimate.model_dump_json() if as_json else "\n".join(estimate_lines(estimate)))


def _parameters(
    schema: dict[str, Any], prefix: str, defs: dict[str, Any] | None = None
) -> list[tuple[str, ...]]:
    from ..desk import FILLED_IN

    defs = defs if defs is not None else schema.get("$defs", {})
    rows = []
    for name, field in schema.get("properties", {}).items():
        if not prefix and name in FILLED_IN:
            continue
        reference = field.get("$ref") or next((one.get("$ref") for one in field.get("allOf", [])), None)
        if reference is not None:
            rows += _parameters(defs[reference.rpartition("/")[2]], f"{prefix}{name}.", defs)
            continue
        kinds = [one.get("type", "") for one in field.get("anyOf", [field])]
        default = "" if "default" not in field else json.dumps(field["default"])
        rows.append(
            (f"{prefix}{name}", " or ".join(filter(None, kinds)), default, field.get("description", ""))
        )
    return rows
