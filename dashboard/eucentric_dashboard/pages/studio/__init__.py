"""The support-set studio: point at a few chips of each class, and see the whole image mapped."""

from __future__ import annotations

from ...site import Page
from ._page import build_studio

__all__ = ["PAGE"]

PAGE = Page(path="/studio", title="Studio", icon="grid_on", build=build_studio)
