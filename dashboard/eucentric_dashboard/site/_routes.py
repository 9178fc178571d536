"""From the list of pages to addresses that a browser can open; and the pulse by which pages notice a loss."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import uuid4

from fastapi import APIRouter
from nicegui import ui
from pydantic import JsonValue
from starlette.requests import Request

from .._hub import LiveHub
from ..login import Door
from ._pages import Page
from ._shell import open_nowhere, open_page
from ._visit import Visit

__all__ = ["START_ID", "mount_pages", "shell_router"]

START_ID = uuid4().hex
"""Of this start of the process: a page that sees another one has outlived its server, and loads anew."""


def mount_pages(pages: Sequence[Page], hubs: Mapping[str, LiveHub], door: Door) -> None:
    """Give every page its route.

    Args:
        pages: with their addresses.
        hubs: by name of the instrument, the default first.
        door: knows whose a request is.
    """
    for page in pages:
        ui.page(page.path)(_opener(page, pages, hubs, door))


def _opener(
    page: Page, pages: Sequence[Page], hubs: Mapping[str, LiveHub], door: Door
) -> Callable[[Request], Awaitable[None]]:
    async def open_it(request: Request) -> None:
        wanted = request.query_params.get("instrument") or next(iter(hubs))
        hub = hubs.get(wanted)
        if hub is None:
            open_nowhere(wanted, tuple(hubs))
            return
        ask = door.asker(request)
        visit = Visit(
            hub,
            hub.settings,
            ask(),
            instruments=tuple(hubs),
            logs_in=not door.open,
            still_in=door.watcher(request),
            ask_person=ask,
        )
        open_page(page, visit, pages)

    return open_it


def shell_router(hubs: Mapping[str, LiveHub]) -> APIRouter:
    """Routes `/pulse`, for pages, and `/health`, for whoever watches over the service."""
    router = APIRouter()

    @router.get("/pulse")
    async def pulse(request: Request, instrument: str = "") -> dict[str, JsonValue]:
        hub = hubs.get(instrument)
        if hub is not None and request.state.person is not None:
            hub.steward.seen(request.state.person.name)
        return {"start": START_ID}

    @router.get("/health")
    async def health() -> dict[str, JsonValue]:
        first = next(iter(hubs.values()))
        return {
            "service": "dashboard",
            "state": "running",
            "agent_online": first.agent.online,
            "edge_online": first.edge.online,
            "frame_age_s": first.figures().frame_age_s,
        }

    return router
