"""Our flows for Globus Flows: a definition and an input schema of each, and the one function they call."""

from __future__ import annotations

from ._carry_out import carry_out
from ._definition import REMOTE_FLOWS, ExportedFlow, export_flow
from ._rules import problems_of

__all__ = ["REMOTE_FLOWS", "ExportedFlow", "carry_out", "export_flow", "problems_of"]
