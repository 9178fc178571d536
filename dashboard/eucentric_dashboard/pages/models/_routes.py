"""What browsers fetch beside the models page: the evidence of a version."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, HTTPException, Response

from eucentric_core import EucentricError

from ..._hub import LiveHub
from ._source import source_of

__all__ = ["evidence_router"]

_HEADERS = {
    "Cache-Control": "private, max-age=300",
    # What MLflow holds is not believed: the page may neither run anything nor reach anybody.
    "Content-Security-Policy": "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


def evidence_router(hubs: Mapping[str, LiveHub]) -> APIRouter:
    """Routes `/models/evidence/MODEL/VERSION.html` and `.../VERSION/PAIR/SIDE.png`."""
    # A site has one catalogue of models, whatever instruments it has.
    settings = next(iter(hubs.values())).settings
    router = APIRouter()

    @router.get("/models/evidence/{model}/{version}.html")
    def page(model: str, version: int) -> Response:
        try:
            found = source_of(settings).page(model, version)
        except EucentricError as error:
            raise HTTPException(502, f"{error.what} Next: {error.next_step}") from error
        if found is None:
            raise HTTPException(404, "This version was judged without a page of evidence.")
        return Response(found, media_type="text/html; charset=utf-8", headers=_HEADERS)

    @router.get("/models/evidence/{model}/{version}/{pair}/{side}.png")
    def image(model: str, version: int, pair: int, side: int) -> Response:
        try:
            evidence = source_of(settings).evidence(model, version)
        except EucentricError as error:
            raise HTTPException(502, f"{error.what} Next: {error.next_step}") from error
        images = (
            () if evidence is None or not 0 <= pair < len(evidence.pairs) else evidence.pairs[pair].images
        )
        if not 0 <= side < len(images):
            raise HTTPException(404, "There is no such image.")
        return Response(images[side].png, media_type="image/png", headers=_HEADERS)

    return router
