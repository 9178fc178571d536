"""Start any flow of the catalogue, and see what runs, what it waits for, and what it came to."""

from __future__ import annotations

from ...site import Page
from ._page import build_flows

__all__ = ["PAGE"]

PAGE = Page(path="/flows", title="Flows", icon="account_tree", build=build_flows)
