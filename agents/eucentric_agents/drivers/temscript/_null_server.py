"""Runs temscript's own server with its null microscope, as a program: `_null_server.py PORT`."""

from __future__ import annotations

import sys


def _quiet(*_arguments: object) -> None:
    """Errors are still logged; a line for each of a thousand requests a minute would fill the disk."""


def main() -> None:
    """Serve until terminated."""
    # temscript is an extra: every module of this room imports without it.
    from temscript.server import MicroscopeHandler, run_server

    MicroscopeHandler.log_request = _quiet
    run_server(["--null", "--host", "127.0.0.1", "--port", sys.argv[1]])


if __name__ == "__main__":
    main()
