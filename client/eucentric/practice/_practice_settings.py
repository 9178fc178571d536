"""Settings of a practice site: everything on loopback, on free ports, in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eucentric_core.transport import find_free_port

__all__ = ["practice_settings", "toml_lines"]

_TWIN: Mapping[str, Any] = {"seed": 1, "specimen": {"extent_m": 3e-8}}


def practice_settings(home: Path, *, ships: bool, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as nested tables.

    Args:
        home: folder of the site.
        ships: whether the agent sends what it records to the site's repository.
        given: what somebody wants otherwise, by section; wins.
    """
    agent = {
        "name": "practice",
        "instrument": "twin",
        "control_port": find_free_port(),
        "data_port": find_free_port(),
        "min_free_bytes": 0,
        **({"ship_to": str(home / "repository")} if ships else {}),
    }
    if given.get("agent", {}).get("instrument", "twin") == "twin":
        agent["driver"] = dict(_TWIN)
    settings: dict[str, Any] = {
        "home": str(home),
        "agent": agent,
        "edge": {
            "control_port": find_free_port(),
            "data_port": find_free_port(),
            "release_poll_s": 0.5,
        },
        "repository": {
            "root": str(home / "repository"),
            "control_port": find_free_port(),
            "data_port": find_free_port(),
        },
        "hub": {
            "mlflow_url": f"http://127.0.0.1:{find_free_port()}",
            "prefect_api_url": f"http://127.0.0.1:{find_free_port()}/api",
        },
        "hpc": {"executor": "processes", "workers": 1},
        "dashboard": {"port": find_free_port(), "login": "none", "open_role": "operator"},
    }
    for section, values in given.items():
        own = settings.get(section)
        settings[section] = {**own, **values} if isinstance(own, dict) else values
    return settings


def toml_lines(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Nested tables as TOML, one dotted key on each line."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from toml_lines(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key} = {json.dumps(value)}"
