"""What browsers fetch beside the page: images by version, and the health check."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Response
from pydantic import JsonValue

from ._encode import Contrast
from ._hub import LiveHub
from ._picture import Picture

__all__ = ["live_router"]

_FRESH = {"Cache-Control": "no-store"}


def live_router(hub: LiveHub) -> APIRouter:
    """Routes `/live/image/N.jpg`, `/live/uncertainty/N.png` and `/health`."""
    router = APIRouter()

    @router.get("/live/image/{version}.jpg")
    def image(version: int, contrast: Contrast = "normal") -> Response:
        return Response(_kept(hub, version).jpeg(contrast), media_type="image/jpeg", headers=_FRESH)

    @router.get("/live/uncertainty/{version}.png")
    def uncertainty(version: int) -> Response:
        layer = _kept(hub, version).uncertainty_png()
        if layer is None:
            raise HTTPException(404, "The uncertainty of this frame has not come.")
        return Response(layer, media_type="image/png", headers=_FRESH)

    @router.get("/health")
    def health() -> dict[str, JsonValue]:
        return {
            "service": "dashboard",
            "state": "running",
            "agent_online": hub.agent.online,
            "edge_online": hub.edge.online,
            "frame_age_s": hub.figures().frame_age_s,
        }

    return router


def _kept(hub: LiveHub, version: int) -> Picture:
    picture = hub.find_picture(version)
    if picture is None:
        raise HTTPException(404, "This frame is no longer kept for viewing; the recording has it.")
    return picture
