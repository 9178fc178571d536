"""Maps of one image: prediction, confidence, what is out of distribution; and drift over time."""

from __future__ import annotations

from ...site import Page
from ._page import build_maps

__all__ = ["PAGE"]

PAGE = Page(path="/maps", title="Maps", icon="map", build=build_maps)
