"""The HTTP door: what is in the catalogue, and slices of frames without downloading a file."""

from __future__ import annotations

from ._app import make_app
from ._server import HttpDoor

__all__ = ["HttpDoor", "make_app"]
