"""Where settings come from: one TOML file per machine < environment (`EUCENTRIC__SECTION__KEY`) < flags."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic import ValidationError

from ._errors import ConfigurationError
from ._model import FrozenModel
from ._settings import Settings
from ._units import lower_first

__all__ = ["Origin", "load_settings", "settings_origins"]

ENVIRONMENT_PREFIX = "EUCENTRIC__"
_DELIMITER = "__"
_KNOWN_KEYS = "`eucentric config show` prints every known key."

Origin = Literal["default", "file", "environment", "flag"]
"""Where the value of a setting comes from."""


def load_settings(
    path: Path | str | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings of this machine.

    Args:
        path: TOML file; None means no file, only defaults, environment and flags.
        flags: nested values given on the command line; they win.
        environment: variables to read, by default those of the process. A key that holds a table
            (`EUCENTRIC__AGENT__DRIVER`) takes a JSON object.

    Raises:
        ConfigurationError: unreadable file, unknown key, or a value out of bounds; names the key.
    """
    path = Path(path) if isinstance(path, str) else path
    layers = _layers(path, flags, environment)
    values: dict[str, Any] = {}
    for layer in layers.values():
        values = _merge(values, layer)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        origin = _origin(first["loc"], layers)
        place = {"file": f"file {path}", "flag": "command line"}.get(origin, origin)
        raise _refuse(
            f"Setting {key!r} ({place}): {lower_first(first['msg'])}.", f"correct or remove it; {_KNOWN_KEYS}"
        ) from error


def settings_origins(
    path: Path | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Origin]:
    """Where each setting's value comes from, by dotted key; arguments and errors as `load_settings`."""
    layers = _layers(path, flags, environment)
    return {".".join(key): _origin(key, layers) for key in _keys(Settings)}


def _refuse(what: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(what, safe="nothing was started.", next_step=next_step)


def _layers(
    path: Path | None, flags: Mapping[str, Any] | None, environment: Mapping[str, str] | None
) -> dict[Origin, dict[str, Any]]:
    """What each source says, the weakest first."""
    return {
        "file": {} if path is None else _from_file(path),
        "environment": _from_environment(os.environ if environment is None else environment),
        "flag": dict(flags or {}),
    }


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _refuse(
            f"Settings file {path} does not exist.", "check the path, or leave --config out."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refuse(
            f"Settings file {path} is not valid TOML: {error}.", "correct the named line."
        ) from error
    except OSError as error:
        raise _refuse(f"Settings file {path} cannot be read: {error}.", "check its permissions.") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    ours = {name: value for name, value in environment.items() if name.upper().startswith(ENVIRONMENT_PREFIX)}
    if not ours:
        return {}
    # Costs a tenth of a second that `import eucentric_core` need not pay.
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

    class Variables(Settings, BaseSettings):
        model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter=_DELIMITER)

    for name in ours:
        if not _is_known(name[len(ENVIRONMENT_PREFIX) :].lower().split(_DELIMITER)):
            # The source takes what it knows and passes over the rest, and with it over every typing mistake.
            raise _refuse(
                f"Environment variable {name} is no known setting.", f"correct or unset it; {_KNOWN_KEYS}"
            )
    source = EnvSettingsSource(Variables)
    source.env_vars = {name.lower(): value for name, value in ours.items()}
    try:
        return source()
    except SettingsError as error:
        raise _refuse(
            f"The environment cannot be read: {error}.", "give a table as a JSON object."
        ) from error


def _is_known(parts: list[str]) -> bool:
    known = list(_keys(Settings))
    return any(key[: len(parts)] == tuple(parts) for key in known) or any(
        tuple(parts[: len(key)]) == key and _is_table(key) for key in known
    )


def _is_table(key: tuple[str, ...]) -> bool:
    model: Any = Settings
    for part in key:
        model = model.model_fields[part].annotation
    return get_origin(model) is dict


def _keys(model: type[FrozenModel]) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, FrozenModel):
            yield from ((name, *rest) for rest in _keys(field.annotation))
        else:
            yield (name,)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = (
            _merge(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
        )
    return merged


def _origin(key: tuple[str | int, ...], layers: Mapping[Origin, Mapping[str, Any]]) -> Origin:
    found: Origin = "default"
    for origin, layer in layers.items():
        branch: Any = layer
        for part in key:
            if not isinstance(branch, Mapping) or part not in branch:
                break
            branch = branch[part]
        else:
            found = origin
    return found
