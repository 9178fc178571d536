"""The newest frame with what the edge sees in it."""

from __future__ import annotations

from ...site import Page
from ._page import build_live
from ._routes import live_routes

__all__ = ["PAGE"]

PAGE = Page(path="/", title="Live", icon="visibility", build=build_live, routes=live_routes)
