"""Where a version comes from and where it went, as a graph. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from eucentric_model_registry import Deployment, RegisteredVersion

from ...widgets import GraphEdge, GraphNode, graph_svg
from ._signatures import SignatureState

__all__ = ["lineage_svg"]

_MOST_DATASETS = 12


def lineage_svg(
    version: RegisteredVersion, deployments: Sequence[Deployment], signature: SignatureState
) -> str:
    """Data sets and a trigger lead to a training run, that to a version, a signature to edges.

    Args:
        version: which.
        deployments: of its model, oldest first.
        signature: what was found of it.
    """
    lineage = version.lineage
    label = f"{version.name} v{version.version}"
    asked = f"policy {lineage.policy}" if lineage.policy else "a person"
    run, made, signed = "run", "version", "signature"
    nodes = [GraphNode(f"data {name}", name, "data set", "data") for name in lineage.datasets]
    nodes, left_out = nodes[:_MOST_DATASETS], nodes[_MOST_DATASETS:]
    if left_out:
        nodes.append(GraphNode("data more", f"{len(left_out)} more", "data sets", "data"))
    edges = [GraphEdge(node.id, run) for node in nodes]
    nodes.append(GraphNode("trigger", asked, f"trigger {lineage.trigger_id}", "trigger"))
    edges.append(GraphEdge("trigger", run))
    if lineage.trained_from:
        nodes.append(GraphNode("base", lineage.trained_from, "trained from", "model"))
        edges.append(GraphEdge("base", run))
    nodes += [
        GraphNode(run, f"run {lineage.run_id}", f"code {lineage.code_version}", "run"),
        GraphNode(made, label, f"sha256 {version.envelope_sha256[:12]}…", "model"),
        GraphNode(signed, signature.state, signature.words, signature.state),
    ]
    edges += [GraphEdge(run, made), GraphEdge(made, signed)]
    last = {one.edge: one for one in deployments if one.version == version.version}
    for edge, deployment in sorted(last.items()):
        nodes.append(GraphNode(f"edge {edge}", edge, deployment.state, f"place {deployment.state}"))
        edges.append(GraphEdge(signed, f"edge {edge}"))
    deployed = ", ".join(deployment.sentence for deployment in last.values()) or "not deployed"
    title = (
        f"Lineage of {label}: {len(lineage.datasets)} data sets, asked for by {asked}, made by run "
        f"{lineage.run_id}; {signature.words}; {deployed}"
    )
    return graph_svg(nodes, edges, title=title)
