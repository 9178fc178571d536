"""What the browser's drawing thread loads: the modules of `assets`, and nothing else of this folder."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException
from starlette.responses import FileResponse

__all__ = ["WORKER", "asset_routes"]

_ROUTE = "/live-view"
_FOLDER = Path(__file__).with_name("assets")
_MODULES = ("worker.js", "drawing.js")

WORKER = f"{_ROUTE}/worker.js"
"""Where the worker is."""


def asset_routes() -> APIRouter:
    """Route `/live-view/MODULE`."""
    router = APIRouter()

    @router.get(f"{_ROUTE}/{{module}}")
    async def module_of_the_view(module: str) -> FileResponse:
        if module not in _MODULES:
            raise HTTPException(404)
        # Asked for again after each start of the page: an old module must not meet a new server.
        return FileResponse(
            _FOLDER / module, media_type="text/javascript", headers={"Cache-Control": "no-cache"}
        )

    return router
