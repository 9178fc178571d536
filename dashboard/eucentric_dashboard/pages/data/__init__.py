"""What was recorded: found, looked at, described, opened elsewhere; and what is still on its way."""

from __future__ import annotations

from ...site import Page
from ._page import build_data
from ._routes import thumbnail_router

__all__ = ["PAGE"]

PAGE = Page(path="/data", title="Data", icon="photo_library", build=build_data, routes=thumbnail_router)
