"""`eucentric doctor`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eucentric_core import load_settings

from ._examine import examine
from ._finding import Finding, Status
from ._link_command import measure_link, serve_link
from ._link_protocol import DEFAULT_PORT

__all__ = ["command"]

_STYLES: dict[Status, str] = {"ok": "green", "warn": "yellow", "fail": "bold red", "absent": "dim"}


def command(
    config: Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    link: Annotated[
        str | None,
        typer.Option(
            "--link",
            metavar="HOST[:PORT]",
            help="Measure the link to a machine on which `--serve-link` runs (fills it for 20 s).",
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option("--seconds", min=0.5, max=10, help="How long --link spends on each of five cases."),
    ] = 3.0,
    serving: Annotated[
        bool, typer.Option("--serve-link", help="Be the far end of such a measurement, for an hour at most.")
    ] = False,
    host: Annotated[
        str, typer.Option("--host", help="Address that --serve-link listens on; 0.0.0.0 for all.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, help="Port that --serve-link listens on.")
    ] = DEFAULT_PORT,
) -> None:
    """Check this machine and say how to repair what is wrong.

    The exit status is 1 if something fails; what is absent is optional. With `--link`, measure a link
    instead and say how control stays quick on it.
    """
    if serving:
        serve_link(host, port)
        return
    settings = load_settings(config)
    if link is not None:
        measure_link(link, settings, case_s=seconds, as_json=as_json)
        return
    findings = examine(settings)
    failed = any(finding.status == "fail" for finding in findings)
    if as_json:
        report = {"ok": not failed, "findings": [finding.model_dump(mode="json") for finding in findings]}
        typer.echo(json.dumps(report, indent=2))
    else:
        Console().print(_table(findings))
    if failed:
        raise typer.Exit(1)


def _table(findings: Sequence[Finding]) -> Table:
    table = Table(title="eucentric doctor", title_justify="left")
    table.add_column("check", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("finding", overflow="fold")
    for finding in findings:
        # Texts, not markup: `eucentric[edge]` is no style.
        text = Text(finding.detail)
        if finding.fix:
            text.append(f"\nto do: {finding.fix}", style="cyan")
        table.add_row(Text(finding.name), Text(finding.status, style=_STYLES[finding.status]), text)
    return table
