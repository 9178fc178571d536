"""Describing and keeping: `tag`, `note`, `annotate`, `hold`, `release`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from eucentric_core import ConfigurationError, DataFormatError, clear_errors

from .._curator import Curator
from .._database import database_of
from .._metadata_schema import load_metadata_schema
from .._migrate import require_schema
from ._options import AsJson, Config, DatasetId, Root, print_json, read_settings, who

__all__ = ["annotate", "hold", "note", "release", "tag"]

_MAX_FILE_BYTES = 1 << 20


def _curator(config: Path | None, root: Path | None) -> Curator:
    settings = read_settings(config, root)
    database = database_of(settings)
    # A mistyped root must not become a new repository.
    engine = database.open(read_only=True)
    try:
        require_schema(engine, database)
    finally:
        engine.dispose()
    return Curator(database, by=who(settings))


def tag(
    dataset_id: DatasetId,
    tags: Annotated[list[str], typer.Argument(help="Tags to add.")],
    config: Config = None,
    root: Root = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take them away instead.")] = False,
) -> None:
    """Add tags to a data set, or take them away."""
    with clear_errors(), _curator(config, root) as curator:
        if remove:
            curator.untag(dataset_id, tags)
        else:
            curator.tag(dataset_id, tags)


def note(
    dataset_id: DatasetId,
    text: Annotated[str, typer.Argument(help="What there is to say.")],
    config: Config = None,
    root: Root = None,
) -> None:
    """Add a note to a data set."""
    with clear_errors(), _curator(config, root) as curator:
        curator.note(dataset_id, text)


def annotate(
    dataset_id: DatasetId,
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Values to set; JSON, or plain text.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="JSON object that replaces them.")] = None,
    config: Config = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Write the site's own metadata, checked against repository.metadata_schema. Nothing before is lost."""
    with clear_errors():
        document = _document(values or [], file)
        schema_path = read_settings(config, root).repository.metadata_schema
        schema = load_metadata_schema(schema_path) if schema_path is not None else None
        with _curator(config, root) as curator:
            now = curator.annotate(dataset_id, document, schema=schema, merge=file is None)
    if as_json:
        print_json({"metadata": now})


def _document(values: list[str], file: Path | None) -> dict[str, JsonValue]:
    document: dict[str, JsonValue] = {}
    if file is not None:
        try:
            with file.open("rb") as stream:
                found = json.loads(stream.read(_MAX_FILE_BYTES))
        except (OSError, ValueError) as error:
            raise _refuse(f"{file} cannot be read as JSON: {error}.") from error
        if not isinstance(found, dict):
            raise _refuse(f"{file} holds no JSON object.")
        document = found
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigurationError(
                f"{text[:80]!r} is no KEY=VALUE.",
                safe="nothing was written.",
                next_step="write e.g. operator=Ada, or dose_limit=2.5",
            )
        try:
            document[key.strip()] = json.loads(value)
        except ValueError:
            document[key.strip()] = value
    if not values and file is None:
        raise ConfigurationError(
            "There is nothing to write.",
            safe="nothing was written.",
            next_step="give KEY=VALUE, or a JSON file by --file.",
        )
    return document


def _refuse(what: str) -> DataFormatError:
    return DataFormatError(what, safe="nothing was written.", next_step="correct the file.")


def hold(
    dataset_id: DatasetId,
    why: Annotated[str, typer.Argument(help="Why it must be kept.")],
    config: Config = None,
    root: Root = None,
) -> None:
    """Forbid that anything of a data set is deleted, whatever the retention rules say."""
    with clear_errors(), _curator(config, root) as curator:
        curator.hold(dataset_id, why)


def release(dataset_id: DatasetId, config: Config = None, root: Root = None) -> None:
    """Take a hold away."""
    with clear_errors(), _curator(config, root) as curator:
        curator.release(dataset_id)
