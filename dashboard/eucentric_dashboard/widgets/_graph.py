"""A small directed graph as SVG, from left to right in the order in which things came about. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["GraphEdge", "GraphNode", "graph_svg"]

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 176, 46, 64, 16
_LINE = 26
_MOST_NODES = 200


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A box. `kind` is its CSS class, `label` and `detail` its two lines."""

    id: str
    label: str
    detail: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """An arrow from what was first to what came of it."""

    first: str
    then: str
    label: str = ""


def graph_svg(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge], *, title: str) -> str:
    """Draw it.

    Args:
        nodes: at most 200 are drawn.
        edges: those between drawn nodes are drawn; a circle of arrows does no harm.
        title: read out instead of the picture.
    """
    nodes = nodes[:_MOST_NODES]
    known = {node.id for node in nodes}
    edges = [edge for edge in edges if edge.first in known and edge.then in known]
    places = _places(nodes, edges)
    width = max((x for x, _ in places.values()), default=0) + _WIDTH + 8
    height = max((y for _, y in places.values()), default=0) + _HEIGHT + 8
    drawn = "".join(
        [
            *(_arrow(places[edge.first], places[edge.then], edge.label) for edge in edges),
            *(_box(node, *places[node.id]) for node in nodes),
        ]
    )
    return (
        f'<svg class="graph" role="img" aria-label="{escape(title, quote=True)}" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">'
        f'<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0 8 4 0 8z" class="tip"/></marker></defs>{drawn}</svg>'
    )


def _places(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> Mapping[str, tuple[int, int]]:
    """Left upper corner of each box (px): a column for each step from the beginning."""
    column = {node.id: 0 for node in nodes}
    for _ in nodes:
        moved = False
        for edge in edges:
            wanted = column[edge.first] + 1
            if edge.first != edge.then and column[edge.then] < wanted <= len(nodes):
                column[edge.then], moved = wanted, True
        if not moved:
            break
    used: dict[int, int] = {}
    places = {}
    steps = {step: number for number, step in enumerate(sorted(set(column.values())))}
    for node in nodes:
        step = steps[column[node.id]]
        row = used.get(step, 0)
        used[step] = row + 1
        places[node.id] = (4 + step * (_WIDTH + _GAP_X), 4 + row * (_HEIGHT + _GAP_Y))
    return places


def _box(node: GraphNode, x: int, y: int) -> str:
    first = 20 if node.detail else 28
    lines = f'<text x="{x + 10}" y="{y + first}" class="name">{_cut(node.label)}</text>'
    if node.detail:
        lines += f'<text x="{x + 10}" y="{y + 36}" class="detail">{_cut(node.detail)}</text>'
    told = escape(f"{node.label} {node.detail}".strip())
    return (
        f'<g class="node {escape(node.kind, quote=True)}"><title>{told}</title>'
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="7"/>{lines}</g>'
    )


def _arrow(first: tuple[int, int], then: tuple[int, int], label: str) -> str:
    x1, y1 = first[0] + _WIDTH, first[1] + _HEIGHT // 2
    x2, y2 = then[0], then[1] + _HEIGHT // 2
    bend = max(24, (x2 - x1) // 2)
    path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    words = (
        f'<text x="{(x1 + x2) // 2}" y="{(y1 + y2) // 2 - 5}" class="edge">{escape(label)}</text>'
        if label
        else ""
    )
    return f'<path d="{path}" class="arrow" marker-end="url(#tip)"/>{words}'


def _cut(text: str) -> str:
    return escape(text if len(text) <= _LINE else f"{text[: _LINE - 1]}…")
