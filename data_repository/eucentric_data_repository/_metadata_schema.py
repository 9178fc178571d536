"""A site's own metadata, checked against the JSON Schema that the site has written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from eucentric_core import ConfigurationError, DataFormatError, UnsupportedError

__all__ = ["MetadataSchema", "load_metadata_schema"]

_MAX_SCHEMA_BYTES = 1 << 20
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class MetadataSchema:
    """A JSON Schema (draft 2020-12 unless it says otherwise) and the hash of its text."""

    document: dict[str, Any]
    sha256: str

    def require_valid(self, document: dict[str, JsonValue]) -> None:
        """Let a document pass.

        Raises:
            DataFormatError: it is not what the schema asks for; the error names every place, at most five.
            UnsupportedError: jsonschema is not installed here.
        """
        found = self._problems(document)
        if found:
            said = [f"{error.json_path}: {error.message[:200]}" for error in found[:_SHOWN]]
            more = f" (and {len(found) - _SHOWN} more)" if len(found) > _SHOWN else ""
            raise DataFormatError(
                f"The metadata are not what the site's schema asks for: {'; '.join(said)}{more}.",
                safe="nothing was written; the metadata that were there are unchanged.",
                next_step="correct the named places and try again.",
                problems=list[JsonValue](said),
            )

    def _problems(self, document: dict[str, JsonValue]) -> list[Any]:
        from referencing.exceptions import Unresolvable

        try:
            found = list(_validator(self.document).iter_errors(document))
        except Unresolvable as error:
            raise ConfigurationError(
                f"The metadata schema refers to something that is not in it: {error}.",
                safe="nothing was written.",
                next_step="put it under $defs in the schema's own file: nothing is downloaded.",
            ) from error
        return sorted(found, key=lambda error: list(map(str, error.path)))


def load_metadata_schema(path: Path) -> MetadataSchema:
    """Read a site's schema.

    Raises:
        ConfigurationError: the file cannot be read, or is no JSON Schema.
        UnsupportedError: jsonschema is not installed here.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(_MAX_SCHEMA_BYTES + 1)
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror or error}") from error
    if len(text) > _MAX_SCHEMA_BYTES:
        raise _unusable(path, f"is longer than {_MAX_SCHEMA_BYTES} bytes")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _unusable(path, f"is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise _unusable(path, "is no JSON object")
    from_jsonschema = _jsonschema()
    try:
        from_jsonschema.validators.validator_for(
            document, default=from_jsonschema.Draft202012Validator
        ).check_schema(document)
    except from_jsonschema.SchemaError as error:
        raise _unusable(path, f"is no JSON Schema: {error.json_path}: {error.message[:200]}") from error
    return MetadataSchema(document, sha256(text).hexdigest())


def _jsonschema() -> Any:
    try:
        import jsonschema
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            "Checking metadata against a schema needs jsonschema, which is not installed on this machine.",
            safe="nothing was written.",
            next_step="pip install 'eucentric[hub]', or take repository.metadata_schema out of the settings.",
        ) from error
    return jsonschema


def _validator(document: dict[str, Any]) -> Any:
    library = _jsonschema()
    from referencing import Registry

    kind = library.validators.validator_for(document, default=library.Draft202012Validator)
    # With a registry of its own, a reference to another machine is an error and no download.
    return kind(document, registry=Registry(), format_checker=kind.FORMAT_CHECKER)


def _unusable(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The metadata schema {path} {why}.",
        safe="nothing was written.",
        next_step="correct the file, or repository.metadata_schema.",
    )
