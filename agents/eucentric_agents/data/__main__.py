"""Entry of the data process. The agent starts it; nobody else needs to."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from eucentric_core import Settings, clear_errors

from ._desk import DOOR_VARIABLE
from ._service import serve_data


def main() -> None:
    """Run the data process."""
    parser = argparse.ArgumentParser(prog="eucentric_agents.data", description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="effective settings as JSON")
    parser.add_argument("--ingest-port", type=int, required=True, help="loopback port to publish to")
    parser.add_argument("--parent-pid", type=int, required=True, help="process whose end ends this one")
    chosen = parser.parse_args()
    token = os.environ.pop(DOOR_VARIABLE)
    settings = Settings.model_validate_json(chosen.settings.read_bytes())
    with clear_errors():
        serve_data(settings, ingest_port=chosen.ingest_port, parent_pid=chosen.parent_pid, token=token)


if __name__ == "__main__":
    main()
