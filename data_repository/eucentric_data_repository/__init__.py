"""The data repository: verified shards, the catalogue of data sets, and where everything came from."""

from __future__ import annotations

from ._catalogue import Catalogue, open_catalogue
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
from ._ingest import ingest_once
from ._registrar import Registrar
from ._search import Bounds, DatasetOrder, SearchQuery
from ._service import RepositoryService
from ._verify import Finding, verify_shards

__all__ = [
    "QUANTITIES",
    "Annotation",
    "Bounds",
    "Catalogue",
    "Database",
    "DatasetDetails",
    "DatasetEntry",
    "DatasetOrder",
    "Finding",
    "Hold",
    "Note",
    "Quantity",
    "QuantityRange",
    "Registrar",
    "RepositoryFolders",
    "RepositoryService",
    "SearchQuery",
    "SearchResult",
    "ShardEntry",
    "ShardFacts",
    "ShardState",
    "StreamFacts",
    "database_of",
    "facts_of",
    "ingest_once",
    "open_catalogue",
    "verify_shards",
]
