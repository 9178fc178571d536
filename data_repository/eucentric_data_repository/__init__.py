"""The data repository: verified shards, the catalogue of data sets, and where everything came from."""

from __future__ import annotations

from ._catalogue import Catalogue, open_catalogue
from ._copies import ArchiveOpener, copy_dataset
from ._curator import Curator
from ._database import Database, database_of
from ._entries import (
    Annotation,
    DatasetDetails,
    DatasetEntry,
    Hold,
    Note,
    SearchResult,
    ShardEntry,
    ShardState,
)
from ._facts import QUANTITIES, Quantity, QuantityRange, ShardFacts, StreamFacts, facts_of
from ._folders import RepositoryFolders
from ._get import Selection, fetch_dataset
from ._inbox import Inbox
from ._ingest import ingest_once
from ._lineage import LineageRecorder, model_id
from ._metadata_schema import MetadataSchema, load_metadata_schema
from ._provenance import ProvenanceEdge, ProvenanceGraph, ProvenanceNode, trace
from ._provenance_views import provenance_mermaid, provenance_prov, provenance_tree
from ._prune import PruneFinding, prune
from ._registrar import Registrar
from ._retention import Decision, RetentionCase, decide
from ._root_marker import require_root
from ._search import Bounds, DatasetOrder, SearchQuery
from ._service import RepositoryService
from ._verify import Finding, verify_shards

__all__ = [
    "QUANTITIES",
    "Annotation",
    "ArchiveOpener",
    "Bounds",
    "Catalogue",
    "Curator",
    "Database",
    "DatasetDetails",
    "DatasetEntry",
    "DatasetOrder",
    "Decision",
    "Finding",
    "Hold",
    "Inbox",
    "LineageRecorder",
    "MetadataSchema",
    "Note",
    "ProvenanceEdge",
    "ProvenanceGraph",
    "ProvenanceNode",
    "PruneFinding",
    "Quantity",
    "QuantityRange",
    "Registrar",
    "RepositoryFolders",
    "RepositoryService",
    "RetentionCase",
    "SearchQuery",
    "SearchResult",
    "Selection",
    "ShardEntry",
    "ShardFacts",
    "ShardState",
    "StreamFacts",
    "copy_dataset",
    "database_of",
    "decide",
    "facts_of",
    "fetch_dataset",
    "ingest_once",
    "load_metadata_schema",
    "model_id",
    "open_catalogue",
    "provenance_mermaid",
    "provenance_prov",
    "provenance_tree",
    "prune",
    "require_root",
    "trace",
    "verify_shards",
]
