"""What a page is to the shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import APIRouter

from eucentric_core import Role

from .._hub import LiveHub
from ._visit import Visit

__all__ = ["Page"]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the dashboard.

    Args:
        path: of its address, such as `/maps`.
        title: in the navigation and in the browser's tab.
        icon: name of a Material icon.
        build: builds the content below the status strip.
        least_role: who may open it.
        routes: what browsers fetch beside the page, from the hubs by name of their instrument. All of it is
            behind the login; `request.state.person` is who asks.
    """

    path: str
    title: str
    icon: str
    build: Callable[[Visit], None]
    least_role: Role = Role.VIEWER
    routes: Callable[[Mapping[str, LiveHub]], APIRouter] | None = None
