"""Entry of the driver host. The agent starts it; nobody else needs to."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from eucentric_core import Settings, clear_errors

from ._service import serve_driver
from ._slots import TOKEN_VARIABLE


def main() -> None:
    """Run the driver host."""
    parser = argparse.ArgumentParser(prog="eucentric_agents.drivers.host", description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="effective settings as JSON")
    parser.add_argument("--ingest-port", type=int, required=True, help="loopback port of the data process")
    parser.add_argument("--parent-pid", type=int, required=True, help="process whose end ends this one")
    parser.add_argument("--service", required=True, help="name of the ready file")
    chosen = parser.parse_args()
    # Not to be handed down to what a vendor's software starts.
    token = os.environ.pop(TOKEN_VARIABLE)
    settings = Settings.model_validate_json(chosen.settings.read_bytes())
    with clear_errors():
        serve_driver(
            settings,
            ingest_port=chosen.ingest_port,
            parent_pid=chosen.parent_pid,
            token=token,
            service=chosen.service,
        )


if __name__ == "__main__":
    main()
