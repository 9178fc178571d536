"""What several pages are made of: tables, questions that want a reason, moments in words."""

from __future__ import annotations

from ._chips import Tone, chip
from ._graph import GraphEdge, GraphNode, graph_svg
from ._needs import missing_extra, require_extra
from ._offline import ReadingNotice
from ._question import ask
from ._style import add_style
from ._table import Cell, data_table
from ._times import ago, moment

__all__ = [
    "Cell",
    "GraphEdge",
    "GraphNode",
    "ReadingNotice",
    "Tone",
    "add_style",
    "ago",
    "ask",
    "chip",
    "data_table",
    "graph_svg",
    "missing_extra",
    "moment",
    "require_extra",
]
