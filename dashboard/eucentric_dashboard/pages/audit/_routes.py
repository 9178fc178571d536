"""Export of the audit log: `/audit/INSTRUMENT.csv` and `.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from fastapi import APIRouter, HTTPException, Request, Response

from eucentric_core import EucentricError, Role

from ..._hub import LiveHub
from ._log import as_csv, as_json_lines, matching, read_log

__all__ = ["audit_routes"]

_MOST = 500


def audit_routes(hubs: Mapping[str, LiveHub]) -> APIRouter:
    """What the export buttons fetch."""
    router = APIRouter()

    @router.get("/audit/{instrument}.{kind}")
    def export(
        request: Request,
        instrument: str,
        kind: Literal["csv", "jsonl"],
        who: str = "",
        action: str = "",
        words: str = "",
    ) -> Response:
        if not request.state.person.role.covers(Role.SCIENTIST):
            raise HTTPException(403, "This needs the role scientist.")
        hub = hubs.get(instrument)
        if hub is None:
            raise HTTPException(404, "There is no such instrument.")
        try:
            answer = read_log(hub.settings, who=who, action=action, limit=_MOST)
        except EucentricError as error:
            raise HTTPException(502, str(error)) from error
        records = matching(answer.records, words)
        text = as_csv(records) if kind == "csv" else as_json_lines(records)
        return Response(
            text,
            media_type="text/csv" if kind == "csv" else "application/x-ndjson",
            headers={"Content-Disposition": f'attachment; filename="audit-{instrument}.{kind}"'},
        )

    return router
