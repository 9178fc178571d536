"""The provenance graph for eyes and for machines: a tree, W3C PROV-JSON, a Mermaid picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydantic import JsonValue

from ._provenance import ProvenanceEdge, ProvenanceGraph, ProvenanceNode

__all__ = ["provenance_mermaid", "provenance_prov", "provenance_tree"]

_ACTIVITIES = {"session", "run", "installation"}
_AGENTS = {"instrument"}
_ROLES = {
    "used": ("prov:activity", "prov:entity"),
    "wasGeneratedBy": ("prov:entity", "prov:activity"),
    "wasDerivedFrom": ("prov:generatedEntity", "prov:usedEntity"),
    "wasAssociatedWith": ("prov:activity", "prov:agent"),
    "hadMember": ("prov:collection", "prov:entity"),
    "wasInformedBy": ("prov:informed", "prov:informant"),
}


def provenance_tree(graph: ProvenanceGraph) -> list[str]:
    """Lines of text: what it came from, deepest last, and what was made of it."""
    nodes = {node.id: node for node in graph.nodes}
    lines = [nodes[graph.start].label]
    for title, following in (
        ("comes from", lambda edge, node: edge.target if edge.source == node else None),
        ("became", lambda edge, node: edge.source if edge.target == node else None),
    ):
        branch = list(_branch(graph, nodes, graph.start, following, "    ", {graph.start}))
        if branch:
            lines += [f"  {title}", *branch]
    return lines


def _branch(
    graph: ProvenanceGraph,
    nodes: dict[str, ProvenanceNode],
    node: str,
    following: Callable[[ProvenanceEdge, str], str | None],
    indent: str,
    above: set[str],
) -> Iterator[str]:
    for edge in graph.edges:
        other = following(edge, node)
        if other is None or other in above:
            continue
        yield f"{indent}{nodes[other].label}"
        yield from _branch(graph, nodes, other, following, indent + "  ", above | {other})


def provenance_prov(graph: ProvenanceGraph) -> dict[str, JsonValue]:
    """The graph as a PROV-JSON document (https://www.w3.org/submissions/prov-json/)."""
    document: dict[str, dict[str, JsonValue]] = {
        "prefix": {"eucentric": "urn:eucentric:"},
        "entity": {},
        "activity": {},
        "agent": {},
    }
    for node in graph.nodes:
        group = "activity" if node.kind in _ACTIVITIES else "agent" if node.kind in _AGENTS else "entity"
        facts: dict[str, JsonValue] = {
            f"eucentric:{key}": value for key, value in node.facts.items() if value is not None
        }
        document[group][f"eucentric:{node.id}"] = {
            "prov:label": node.label,
            "prov:type": f"eucentric:{node.kind}",
            **facts,
        }
    for number, edge in enumerate(graph.edges):
        source, target = _ROLES[edge.relation]
        document.setdefault(edge.relation, {})[f"_:{number}"] = {
            source: f"eucentric:{edge.source}",
            target: f"eucentric:{edge.target}",
        }
    return {key: value for key, value in document.items() if value}


def provenance_mermaid(graph: ProvenanceGraph) -> str:
    """The graph as Mermaid text, in the direction in which the data went."""
    names = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        label = node.label.replace('"', "'").replace("\n", " ")
        lines.append(f'  {names[node.id]}["{label}"]')
    lines += [f"  {names[edge.target]} -->|{edge.relation}| {names[edge.source]}" for edge in graph.edges]
    return "\n".join(lines) + "\n"
