"""The catalogue of data sets for all viewers of a site: searched, shown, described."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from eucentric_core import DatasetManifest, ServiceUnavailableError, Settings
from eucentric_data_repository import (
    Catalogue,
    Curator,
    DatasetDetails,
    SearchQuery,
    SearchResult,
    ShardEntry,
    database_of,
    open_catalogue,
)

from ..._per_site import PerSite
from ._thumbnails import Thumbnails

__all__ = ["DataSource", "Shown", "data_source_of"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Shown:
    """One data set with what it consists of."""

    details: DatasetDetails
    manifest: DatasetManifest | None
    shards: tuple[ShardEntry, ...]


class DataSource:
    """Reads of any thread. The catalogue is opened when it is first asked, and anew after a failure.

    Args:
        settings: of the site.

    Every method raises `ServiceUnavailableError` where there is no catalogue, or it cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None
        self.thumbnails = Thumbnails(settings.home / "dashboard" / "thumbnails", self._shards)

    def search(self, query: SearchQuery) -> SearchResult:
        """The data sets that fit."""
        return self._ask(lambda catalogue: catalogue.search(query))

    def show(self, dataset_id: str) -> Shown:
        """One data set.

        Raises:
            ConfigurationError: there is no such data set.
        """
        return self._ask(
            lambda catalogue: Shown(
                catalogue.dataset(dataset_id),
                catalogue.manifest(dataset_id),
                tuple(catalogue.shards(dataset_id=dataset_id)),
            )
        )

    def note(self, dataset_id: str, text: str, by: str) -> None:
        """Add a note."""
        with Curator(database_of(self._settings), by=by) as curator:
            curator.note(dataset_id, text)

    def tag(self, dataset_id: str, tag: str, by: str) -> None:
        """Add a tag.

        Raises:
            DataFormatError: it is no tag.
        """
        with Curator(database_of(self._settings), by=by) as curator:
            curator.tag(dataset_id, [tag])

    def untag(self, dataset_id: str, tag: str, by: str) -> None:
        """Take a tag away."""
        with Curator(database_of(self._settings), by=by) as curator:
            curator.untag(dataset_id, [tag])

    def _shards(self, dataset_id: str) -> list[ShardEntry]:
        return self._ask(lambda catalogue: catalogue.shards(dataset_id=dataset_id))

    def _ask(self, question: Callable[[Catalogue], _T]) -> _T:
        with self._lock:
            place = database_of(self._settings).place
            if self._catalogue is not None and isinstance(place, Path) and not place.exists():
                # An open file goes on being read after it was taken away.
                self._catalogue.close()
                self._catalogue = None
            if self._catalogue is None:
                self._catalogue = open_catalogue(self._settings)
            catalogue = self._catalogue
        try:
            return question(catalogue)
        except ServiceUnavailableError:
            with self._lock:
                if self._catalogue is catalogue:
                    self._catalogue = None
                    catalogue.close()
            raise


data_source_of = PerSite(DataSource)
