"""The id of a repository's root, remembered by a catalogue that lies elsewhere.

Whoever has lost the home of a service still has its database: an empty folder where the root should be
mounted is then known not to be a new repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import delete, exists, insert, select

from eucentric_core import ServiceUnavailableError, Settings, utc_now

from ._database import Database
from ._root_marker import CataloguedRoot, claim_root
from ._tables import repository, shards
from ._writer import CatalogueWriter

__all__ = ["RootRecord", "claim_repository", "opening_catalogue"]


class RootRecord(CatalogueWriter):
    """What a catalogue says of its root. See `CatalogueWriter`."""

    def read(self) -> CataloguedRoot:
        """Which root it belongs to, and whether anything was ever registered in it."""
        with self._transaction() as connection:
            return CataloguedRoot(
                connection.execute(select(repository.c.repository_id)).scalar(),
                holds_shards=bool(connection.execute(select(exists(select(shards)))).scalar()),
            )

    def write(self, repository_id: str) -> None:
        """From now on it belongs to this root."""
        with self._transaction() as connection:
            connection.execute(delete(repository))
            connection.execute(insert(repository).values(repository_id=repository_id, recorded_utc=utc_now()))


@contextmanager
def opening_catalogue() -> Iterator[None]:
    """Say of a catalogue that does not answer what that means for a service that is starting.

    Raises:
        ServiceUnavailableError: it does not.
    """
    try:
        yield
    except ServiceUnavailableError as error:
        raise ServiceUnavailableError(
            error.what,
            safe="nothing was started; what came in stays in the incoming folder.",
            next_step="check the disk, or repository.database and its server, then start again.",
        ) from error


def claim_repository(settings: Settings, database: Database, *, new_root: bool) -> str:
    """Claim the root of the settings; the id of the repository in it. See `claim_root`.

    Args:
        settings: of this machine.
        database: the catalogue; if it lies in the root, it comes and goes with it and need not remember it.
        new_root: an operator says that a new root is meant.

    Raises:
        ConfigurationError: the root is not the one that was served from this home, or is of the catalogue.
        ServiceUnavailableError, OutOfSpaceError: the catalogue cannot be opened, or the root is being served
            without a marker.
        OSError: the root or the home cannot be read or written.
    """
    root, is_default = settings.repository_path, settings.repository.root is None
    if not isinstance(database.place, str):
        return claim_root(root, settings.home, is_default=is_default, new_root=new_root)
    with opening_catalogue():
        record = RootRecord(database)
    with record:
        with opening_catalogue():
            catalogued = record.read()
        found = claim_root(
            root, settings.home, is_default=is_default, new_root=new_root, catalogued=catalogued
        )
        if found != catalogued.repository_id:
            record.write(found)
    return found
