"""What everything that writes the catalogue has in common."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection

from ._database import Database, writing
from ._migrate import upgrade_schema

__all__ = ["CatalogueWriter"]


class CatalogueWriter:
    """An open catalogue, made or brought up to date if need be. Any thread may use it.

    Args:
        database: a database, or the SQLite file in a repository's root.

    Raises:
        ConfigurationError: a newer version has written this catalogue.
        ServiceUnavailableError, OutOfSpaceError: the database cannot be opened.
    """

    def __init__(self, database: Database | Path) -> None:
        self._database = Database.at(database)
        self._engine = self._database.open()
        try:
            upgrade_schema(self._engine, self._database)
        except BaseException:
            self._engine.dispose()
            raise

    def _transaction(self) -> AbstractContextManager[Connection]:
        return writing(self._engine, self._database)

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
