"""The graph of where things come from, read from the catalogue: who made what of what."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import JsonValue
from sqlalchemy import Connection, select

from eucentric_core import ConfigurationError, FrozenModel, Shard

from ._catalogue import Catalogue
from ._database import reading
from ._dataset_facts import stored_streams
from ._lineage import NodeKind, Relation
from ._tables import datasets, lineage_edges, lineage_nodes, shards

__all__ = ["ProvenanceEdge", "ProvenanceGraph", "ProvenanceNode", "trace"]

_MAX_NODES = 10_000
_MAX_NAME = 1000


class ProvenanceNode(FrozenModel):
    """A thing, an activity, or whoever acted."""

    id: str
    kind: NodeKind | Literal["instrument", "session", "frames", "shard", "dataset", "unknown"]
    label: str
    facts: dict[str, JsonValue] = {}


class ProvenanceEdge(FrozenModel):
    """`source` came from, used or consists of `target`."""

    source: str
    relation: Relation
    target: str


class ProvenanceGraph(FrozenModel):
    """Everything that `start` came from, and everything that was made of it."""

    start: str
    nodes: tuple[ProvenanceNode, ...]
    edges: tuple[ProvenanceEdge, ...]


def trace(catalogue: Catalogue, name: str, *, with_shards: bool = False) -> ProvenanceGraph:
    """Follow the graph from one thing to its origins and to what was made of it.

    Args:
        catalogue: where to look.
        name: a data set, or an identifier of the graph such as `model:atoms/3` or `run:...`.
        with_shards: every shard as a node of its own.

    Raises:
        ConfigurationError: nothing is known by that name.
    """
    # One state of the catalogue for the whole walk.
    with reading(catalogue.engine, catalogue.database) as connection:
        walk = _Walk(connection, with_shards)
        start = walk.find(name)
        walk.follow(start)
    return ProvenanceGraph(
        start=start, nodes=tuple(walk.nodes.values()), edges=tuple(dict.fromkeys(walk.edges))
    )


def _unknown(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"Nothing is known of {name[:200]!r}.",
        safe="nothing was changed.",
        next_step="give the name of a data set, run:ID or model:NAME/VERSION.",
    )


class _Walk:
    def __init__(self, connection: Connection, with_shards: bool) -> None:
        self._connection = connection
        self._with_shards = with_shards
        self.nodes: dict[str, ProvenanceNode] = {}
        self.edges: list[ProvenanceEdge] = []

    def find(self, name: str) -> str:
        if "\x00" in name or len(name) > _MAX_NAME:
            raise _unknown(name)
        for candidate in (f"dataset:{name}", name, f"run:{name}", f"model:{name}"):
            if self._load(candidate) is not None:
                return candidate
        raise _unknown(name)

    def follow(self, start: str) -> None:
        for step in (self._origins, self._descendants):
            seen, waiting = {start}, [start]
            while waiting and len(self.nodes) < _MAX_NODES:
                node = waiting.pop(0)
                self._enter(node)
                for edge in step(node):
                    self.edges.append(edge)
                    following = edge.target if step == self._origins else edge.source
                    self._enter(following)
                    if following not in seen:
                        seen.add(following)
                        waiting.append(following)

    def _enter(self, node: str) -> None:
        if node not in self.nodes:
            self.nodes[node] = self._load(node) or ProvenanceNode(
                id=node, kind="unknown", label=f"{node} (not in this catalogue)"
            )

    def _load(self, node: str) -> ProvenanceNode | None:
        kind, _, rest = node.partition(":")
        if kind == "dataset":
            return self._dataset(rest)
        if kind in ("instrument", "session", "frames"):
            return self.nodes.get(node)
        if kind == "shard":
            return self._shard(rest)
        row = self._connection.execute(select(lineage_nodes).where(lineage_nodes.c.id == node)).first()
        if row is None:
            return None
        facts = {**json.loads(row.document), "recorded_utc": row.recorded_utc.isoformat()}
        return ProvenanceNode(id=node, kind=row.kind, label=row.label, facts=facts)

    def _dataset_row(self, dataset_id: str) -> Any:
        return self._connection.execute(select(datasets).where(datasets.c.dataset_id == dataset_id)).first()

    def _dataset(self, dataset_id: str) -> ProvenanceNode | None:
        row = self._dataset_row(dataset_id)
        if row is None:
            return None
        facts: dict[str, JsonValue] = {
            "state": row.state,
            "simulated": row.simulated,
            "sample": row.sample,
            "material": row.material,
        }
        label = f"data set {dataset_id}" + (" (SIMULATED)" if row.simulated else "")
        return ProvenanceNode(id=f"dataset:{dataset_id}", kind="dataset", label=label, facts=facts)

    def _shard(self, key: str) -> ProvenanceNode | None:
        row = self._connection.execute(select(shards).where(shards.c.idempotency_key == key)).first()
        if row is None:
            return None
        shard = Shard.model_validate_json(row.document)
        return ProvenanceNode(
            id=f"shard:{key}",
            kind="shard",
            label=shard.file_name + (" (pruned)" if row.state == "pruned" else ""),
            facts={
                "sha256": shard.sha256,
                "size_bytes": shard.size_bytes,
                "recorded_with": row.recorded_with,
                "registered_by": row.registered_by,
                "registered_utc": row.registered_utc.isoformat(),
            },
        )

    def _origins(self, node: str) -> Iterable[ProvenanceEdge]:
        kind, _, rest = node.partition(":")
        if kind == "dataset":
            yield from self._origins_of_dataset(node, rest)
        elif kind not in ("instrument", "session", "frames", "shard"):
            yield from self._recorded(lineage_edges.c.source == node)

    def _descendants(self, node: str) -> Iterable[ProvenanceEdge]:
        return self._recorded(lineage_edges.c.target == node)

    def _recorded(self, condition: Any) -> list[ProvenanceEdge]:
        rows = self._connection.execute(
            select(lineage_edges)
            .where(condition)
            .order_by(lineage_edges.c.source, lineage_edges.c.relation, lineage_edges.c.target)
            .limit(_MAX_NODES)
        )
        return [ProvenanceEdge(source=row.source, relation=row.relation, target=row.target) for row in rows]

    def _origins_of_dataset(self, node: str, dataset_id: str) -> Iterable[ProvenanceEdge]:
        row = self._dataset_row(dataset_id)
        if row is None:
            return
        session, instrument = f"session:{row.instrument}/{row.session}", f"instrument:{row.instrument}"
        self.nodes[session] = ProvenanceNode(id=session, kind="session", label=f"session {row.session}")
        self.nodes[instrument] = ProvenanceNode(
            id=instrument, kind="instrument", label=f"instrument {row.instrument}"
        )
        yield ProvenanceEdge(source=session, relation="wasAssociatedWith", target=instrument)
        parts = []
        for stream in stored_streams(self._connection, dataset_id):
            frames = f"frames:{dataset_id}/{stream.stream}"
            size = " x ".join(map(str, stream.shape))
            self.nodes[frames] = ProvenanceNode(
                id=frames,
                kind="frames",
                label=f"{stream.frames} frames {stream.stream} ({size} {stream.dtype})",
            )
            yield ProvenanceEdge(source=frames, relation="wasGeneratedBy", target=session)
            parts.append(frames)
        keys = self._connection.execute(
            select(shards.c.idempotency_key)
            .where(shards.c.dataset_id == dataset_id)
            .order_by(shards.c.first_sequence)
        ).scalars()
        if self._with_shards:
            for key in keys:
                yield ProvenanceEdge(source=node, relation="hadMember", target=f"shard:{key}")
                for frames in parts:
                    yield ProvenanceEdge(source=f"shard:{key}", relation="wasDerivedFrom", target=frames)
        else:
            for frames in parts:
                yield ProvenanceEdge(source=node, relation="wasDerivedFrom", target=frames)
        if not parts:
            yield ProvenanceEdge(source=node, relation="wasGeneratedBy", target=session)
