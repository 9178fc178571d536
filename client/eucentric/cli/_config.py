"""`eucentric config`: the settings of this machine, and where each comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from eucentric_core import load_settings, settings_origins

__all__ = ["app"]

app = typer.Typer(help="The settings of this machine.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The settings of this machine: file < environment (EUCENTRIC__SECTION__KEY) < flags."""


@app.command()
def show(
    config: Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")] = None,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print every setting, as TOML that can be saved and edited."""
    values = load_settings(config).model_dump(mode="json")
    origins = settings_origins(config) if origin else {}
    if not as_json:
        typer.echo("\n".join(_toml(values, origins)))
    elif origin:
        flat = {key: {"value": _at(values, key), "origin": where} for key, where in origins.items()}
        typer.echo(json.dumps(flat, indent=2))
    else:
        typer.echo(json.dumps(values, indent=2))


def _at(values: dict[str, Any], key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


def _toml(values: dict[str, Any], origins: dict[str, Any]) -> Iterator[str]:
    sections = {name: section for name, section in values.items() if isinstance(section, dict)}
    for name, value in values.items():
        if name not in sections:
            yield _line(name, value, origins.get(name))
    for name, section in sections.items():
        yield ""
        yield f"[{name}]"
        for key, value in section.items():
            yield _line(key, value, origins.get(f"{name}.{key}"))


def _line(key: str, value: Any, origin: str | None) -> str:
    # TOML has no null: a setting without a value is shown and commented out.
    text = f"# {key} =" if value is None else f"{key} = {_value(value)}"
    return text if origin is None else f"{text:50} # {origin}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {_value(inner)}" for key, inner in value.items() if inner is not None)
        return "{ " + ", ".join(pairs) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    return json.dumps(value)
