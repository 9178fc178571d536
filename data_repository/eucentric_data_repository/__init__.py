"""The data repository: verified shards, the catalogue of data sets, and where everything came from."""

from __future__ import annotations

from ._catalogue import Catalogue, DatasetEntry, ShardEntry
from ._folders import RepositoryFolders
from ._ingest import ingest_once
from ._registrar import Registrar
from ._service import RepositoryService
from ._verify import Finding, verify_shards

__all__ = [
    "Catalogue",
    "DatasetEntry",
    "Finding",
    "Registrar",
    "RepositoryFolders",
    "RepositoryService",
    "ShardEntry",
    "ingest_once",
    "verify_shards",
]
