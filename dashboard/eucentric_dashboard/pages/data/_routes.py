"""What browsers fetch beside the data page: thumbnails."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, HTTPException, Response

from ..._hub import LiveHub
from ._source import data_source_of

__all__ = ["thumbnail_router"]

_HEADERS = {"Cache-Control": "private, max-age=3600"}


def thumbnail_router(hubs: Mapping[str, LiveHub]) -> APIRouter:
    """Route `/data/thumbnail/DATASET.jpg`."""
    settings = next(iter(hubs.values())).settings
    router = APIRouter()

    @router.get("/data/thumbnail/{dataset_id}.jpg")
    def thumbnail(dataset_id: str) -> Response:
        path = data_source_of(settings).thumbnails.find(dataset_id)
        if path is None:
            raise HTTPException(404, "There is no picture of it, or it is being made.")
        return Response(path.read_bytes(), media_type="image/jpeg", headers=_HEADERS)

    return router
