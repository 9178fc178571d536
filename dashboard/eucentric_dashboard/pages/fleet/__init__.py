"""Agents and edges: whether they answer, what they run, and what will need somebody soon."""

from __future__ import annotations

from ...site import Page
from ._page import build_fleet

__all__ = ["PAGE"]

PAGE = Page(path="/fleet", title="Fleet", icon="dns", build=build_fleet)
