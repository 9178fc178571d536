"""What was made of data sets: runs, models, installations, exports; recorded once, however often told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import JsonValue
from sqlalchemy import Connection, insert, select

from eucentric_core import IntegrityError, Lineage, utc_now

from ._lookup import require_dataset
from ._tables import lineage_edges, lineage_nodes
from ._writer import CatalogueWriter

__all__ = ["LineageRecorder", "NodeKind", "Relation", "model_id"]

NodeKind = Literal["run", "model", "installation", "export"]
"""What can be made of data sets. Instruments, sessions, frames and shards are in tables of their own."""

Relation = Literal[
    "used", "wasGeneratedBy", "wasDerivedFrom", "wasAssociatedWith", "hadMember", "wasInformedBy"
]
"""How two things hang together, in the words of W3C PROV."""


def model_id(name: str, version: int) -> str:
    """How a version of a model is called in the graph."""
    return f"model:{name}/{version}"


class LineageRecorder(CatalogueWriter):
    """Records what was made of data sets. Telling the same again does nothing.

    Every method raises `IntegrityError` when another story is known for the same thing.
    """

    def record_training(self, name: str, version: int, lineage: Lineage) -> None:
        """A run was trained on data sets and gave a version of a model.

        Args:
            name: of the model.
            version: of the model.
            lineage: as the signed bundle has it. Data sets need not be in this catalogue.
        """
        run, model = f"run:{lineage.run_id}", model_id(name, version)
        about: dict[str, JsonValue] = {
            "code_version": lineage.code_version,
            "trigger_id": lineage.trigger_id,
            "policy": lineage.policy,
        }
        with self._transaction() as connection:
            _node(connection, run, "run", f"training {lineage.run_id}", about)
            _node(connection, model, "model", f"{name} version {version}", {"name": name, "version": version})
            _edges(connection, run, "used", (f"dataset:{dataset}" for dataset in lineage.datasets))
            _edges(connection, model, "wasGeneratedBy", [run])
            if lineage.trained_from is not None:
                _edges(connection, model, "wasDerivedFrom", [_ancestor(name, lineage.trained_from)])

    def record_installation(self, name: str, version: int, *, edge: str) -> None:
        """A version of a model was put in service at an edge."""
        installation = f"installation:{edge}/{name}/{version}"
        with self._transaction() as connection:
            _node(
                connection,
                installation,
                "installation",
                f"{name} version {version} on {edge}",
                {"edge": edge},
            )
            _edges(connection, installation, "used", [model_id(name, version)])

    def record_export(self, dataset_id: str, *, form: str, where: str) -> None:
        """A data set was exported as a package that others may cite; from now on it is kept.

        Raises:
            ConfigurationError: there is no such data set.
        """
        export = f"export:{dataset_id}/{form}/{where}"
        with self._transaction() as connection:
            require_dataset(connection, dataset_id)
            _node(connection, export, "export", f"{form} of {dataset_id}", {"format": form, "where": where})
            _edges(connection, export, "wasDerivedFrom", [f"dataset:{dataset_id}"])


def _ancestor(name: str, trained_from: str) -> str:
    # A bundle names its ancestor `v3`: a version of the same model. Anything else is kept as it is said.
    digits = trained_from.removeprefix("v")
    return model_id(name, int(digits)) if digits.isdecimal() else f"model:{trained_from}"


def _node(
    connection: Connection, node: str, kind: NodeKind, label: str, about: Mapping[str, JsonValue]
) -> None:
    document = json.dumps(about, sort_keys=True, ensure_ascii=False)
    known = connection.execute(select(lineage_nodes.c.document).where(lineage_nodes.c.id == node)).scalar()
    if known is None:
        connection.execute(
            insert(lineage_nodes).values(
                id=node, kind=kind, label=label, document=document, recorded_utc=utc_now()
            )
        )
    elif known != document:
        raise IntegrityError(
            f"Another story of {node} is in the catalogue.",
            safe="the catalogue is unchanged.",
            next_step="compare `eucentric data provenance` with the signed bundle: the bundle is right.",
        )


def _edges(connection: Connection, source: str, relation: Relation, targets: Iterable[str]) -> None:
    held = set(
        connection.execute(
            select(lineage_edges.c.target).where(
                lineage_edges.c.source == source, lineage_edges.c.relation == relation
            )
        ).scalars()
    )
    for target in sorted(set(targets) - held):
        connection.execute(insert(lineage_edges).values(source=source, relation=relation, target=target))
