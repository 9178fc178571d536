"""Driver options as settings give them: plain JSON, checked against a frozen model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Self

from pydantic import JsonValue, ValidationError

from eucentric_core import ConfigurationError, FrozenModel, lower_first

__all__ = ["DriverOptions"]


class DriverOptions(FrozenModel):
    """Base of the options of a driver (`[agent.driver]` in the settings file)."""

    @classmethod
    def from_settings(cls, values: Mapping[str, JsonValue]) -> Self:
        """The options, checked.

        Raises:
            ConfigurationError: an option is missing, unknown or out of bounds; names it.
        """
        try:
            # JSON mode takes a list for a tuple and a string for a path, as TOML gives them.
            return cls.model_validate_json(json.dumps(dict(values)))
        except ValidationError as error:
            # A misspelt key explains a missing one, so it comes first.
            first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
            key = ".".join(("agent.driver", *map(str, first["loc"])))
            raise ConfigurationError(
                f"Setting {key!r}: {lower_first(first['msg'])}.",
                safe="no instrument was touched.",
                next_step=f"correct or remove it; known options: {', '.join(cls.model_fields)}.",
            ) from error
