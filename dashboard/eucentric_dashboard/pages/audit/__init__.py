"""Who did what to the instrument, from the agent's own log."""

from __future__ import annotations

from eucentric_core import Role

from ...site import Page
from ._page import build_audit
from ._routes import audit_routes

__all__ = ["PAGE"]

PAGE = Page(
    path="/audit",
    title="Audit",
    icon="history_edu",
    build=build_audit,
    least_role=Role.SCIENTIST,
    routes=audit_routes,
)
