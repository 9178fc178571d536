"""Reading the catalogue: which data sets and shards there are, and their frames."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, Row, Select, case, func, select

from eucentric_core import (
    AnyEvent,
    ConfigurationError,
    DataFormatError,
    DatasetManifest,
    Frame,
    Settings,
    Shard,
    parse_event,
)
from eucentric_transfer import ShardReader

from ._database import Database, database_of, reading
from ._dataset_facts import stored_quantities, stored_streams
from ._entries import Annotation, DatasetDetails, DatasetEntry, Hold, Note, SearchResult, ShardEntry
from ._folders import RepositoryFolders
from ._intact import require_intact
from ._migrate import require_schema
from ._search import SearchQuery, conditions, ordered
from ._tables import datasets, events, holds, notes, shards, site_metadata, tags

__all__ = ["Catalogue", "open_catalogue"]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,250}", re.ASCII)


def open_catalogue(settings: Settings) -> Catalogue:
    """The catalogue that the settings mean, for reading.

    Raises:
        ConfigurationError: a newer version has written it.
        ServiceUnavailableError: there is none, or it cannot be read.
    """
    return Catalogue(database_of(settings))


class Catalogue:
    """Read access to a repository's catalogue. Any thread may use it.

    Args:
        database: a database, or the SQLite file in a repository's root.

    Raises:
        ConfigurationError: a newer version has written it.
        ServiceUnavailableError: there is no catalogue, or it cannot be read.
    """

    def __init__(self, database: Database | Path) -> None:
        self._database = Database.at(database)
        self._folders = RepositoryFolders(self._database.root)
        self._engine = self._database.open(read_only=True)
        try:
            require_schema(self._engine, self._database)
        except BaseException:
            self._engine.dispose()
            raise

    @property
    def database(self) -> Database:
        """Where the catalogue is; whoever writes opens the same."""
        return self._database

    @property
    def engine(self) -> Engine:
        """The open database, for this package's own questions."""
        return self._engine

    @property
    def root(self) -> Path:
        """The repository's root."""
        return self._folders.root

    def datasets(self) -> list[DatasetEntry]:
        """All data sets, in the order of their first shard's arrival."""
        statement = _entries().order_by(datasets.c.first_registered_utc, datasets.c.dataset_id)
        with reading(self._engine, self._database) as connection:
            return _datasets(connection, statement)

    def search(self, query: SearchQuery) -> SearchResult:
        """The data sets that fit, one page of them."""
        wanted = conditions(query)
        counted = select(func.count()).select_from(datasets).where(*wanted)
        page = ordered(_entries().where(*wanted), query.order).limit(query.limit).offset(query.offset)
        with reading(self._engine, self._database) as connection:
            return SearchResult(
                total=connection.execute(counted).scalar_one(),
                offset=query.offset,
                datasets=tuple(_datasets(connection, page)),
            )

    def dataset(self, dataset_id: str) -> DatasetDetails:
        """Everything about one data set.

        Raises:
            ConfigurationError: there is no such data set.
        """
        require_name(dataset_id)
        with reading(self._engine, self._database) as connection:
            entries = _datasets(connection, _entries().where(datasets.c.dataset_id == dataset_id))
            if not entries:
                raise unknown_dataset(dataset_id)
            return _details(connection, entries[0])

    def manifest(self, dataset_id: str) -> DatasetManifest | None:
        """The manifest of a data set; None while its recording is open, or if there is no such data set."""
        held = select(datasets.c.manifest).where(datasets.c.dataset_id == dataset_id)
        with reading(self._engine, self._database) as connection:
            text = connection.execute(held).scalar()
        return DatasetManifest.model_validate_json(text) if text is not None else None

    def shards(
        self,
        *,
        session: str | None = None,
        from_sequence: int | None = None,
        to_sequence: int | None = None,
        dataset_id: str | None = None,
        instrument: str | None = None,
    ) -> list[ShardEntry]:
        """Shards with an acquisition numbered `from_sequence` to `to_sequence` (None: all), ascending.

        Two instruments may have sessions of one name: name the `instrument` where its frames alone are meant.
        """
        statement = select(shards).join(datasets, datasets.c.dataset_id == shards.c.dataset_id)
        if session is not None:
            statement = statement.where(datasets.c.session == session)
        if instrument is not None:
            statement = statement.where(datasets.c.instrument == instrument)
        if dataset_id is not None:
            statement = statement.where(shards.c.dataset_id == dataset_id)
        if from_sequence is not None:
            statement = statement.where(shards.c.last_sequence >= from_sequence)
        if to_sequence is not None:
            statement = statement.where(shards.c.first_sequence <= to_sequence)
        statement = statement.order_by(shards.c.dataset_id, shards.c.first_sequence)
        with reading(self._engine, self._database) as connection:
            return [self._shard(row) for row in connection.execute(statement)]

    def _shard(self, row: Row[Any]) -> ShardEntry:
        shard = Shard.model_validate_json(row.document)
        return ShardEntry(
            shard=shard,
            dataset_id=row.dataset_id,
            path=self._folders.shard(row.dataset_id, shard.file_name),
            registered_by=row.registered_by,
            registered_utc=row.registered_utc,
            registered_with=row.registered_with,
            recorded_with=row.recorded_with,
            state=row.state,
            receipted_utc=row.receipted_utc,
            pruned_utc=row.pruned_utc,
            pruned_why=row.pruned_why,
        )

    def count(self, *, session: str | None = None) -> int:
        """Number of registered acquisitions."""
        statement = select(func.coalesce(func.sum(shards.c.frames), 0)).select_from(
            shards.join(datasets, datasets.c.dataset_id == shards.c.dataset_id)
        )
        if session is not None:
            statement = statement.where(datasets.c.session == session)
        with reading(self._engine, self._database) as connection:
            return int(connection.execute(statement).scalar_one())

    def frames(
        self,
        session: str,
        stream: str,
        *,
        from_sequence: int | None = None,
        limit: int | None = None,
        instrument: str | None = None,
    ) -> Iterator[Frame]:
        """Frames of one stream of a session, in ascending order of their sequence number.

        Each shard is hashed before its frames are given: once in this process, while its file stays the same.

        Args:
            session: name of the session.
            stream: e.g. `haadf`.
            from_sequence: first sequence number wanted, None for all.
            limit: most frames to give, None for all.
            instrument: whose session it is, None for all of that name.

        Raises:
            DataFormatError: a shard was pruned, its file is missing, or it cannot be read.
            IntegrityError: a shard is damaged.
            ServiceUnavailableError: the repository's root is away.
        """
        given = 0
        for entry in self.shards(session=session, from_sequence=from_sequence, instrument=instrument):
            require_kept(entry)
            require_intact(self.root, entry)
            with ShardReader(entry.path) as reader:
                for frame in reader.frames(stream, from_sequence=from_sequence or 0):
                    if limit is not None and given >= limit:
                        return
                    yield frame
                    given += 1

    def events(self, *, after: int = 0, limit: int = 256) -> list[tuple[int, AnyEvent]]:
        """Events of the repository with their position, for a consumer that was away."""
        statement = (
            select(events.c.id, events.c.document)
            .where(events.c.id > after)
            .order_by(events.c.id)
            .limit(limit)
        )
        with reading(self._engine, self._database) as connection:
            return [(row.id, parse_event(row.document)) for row in connection.execute(statement)]

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def require_name(dataset_id: str) -> None:
    """Let what may be the name of a data set pass; a database need not be asked for anything else.

    Raises:
        ConfigurationError: no data set can have this name.
    """
    if _NAME.fullmatch(dataset_id) is None:
        raise unknown_dataset(dataset_id)


def unknown_dataset(dataset_id: str) -> ConfigurationError:
    """The error for a name that no data set has."""
    return ConfigurationError(
        f"There is no data set {dataset_id[:200]!r} in the catalogue.",
        safe="nothing was changed.",
        next_step="`eucentric data search` lists those there are.",
    )


def require_kept(entry: ShardEntry) -> None:
    """Let a shard pass whose file is kept.

    Raises:
        DataFormatError: it was pruned.
    """
    if entry.state == "pruned":
        raise DataFormatError(
            f"{entry.shard.file_name} was pruned on {entry.pruned_utc:%Y-%m-%d %H:%M} UTC: "
            f"{entry.pruned_why}.",
            safe="its hash and provenance are kept in the catalogue.",
            next_step="fetch a copy from an archive, or name other sequence numbers.",
            sha256=entry.shard.sha256,
        )


def _entries() -> Select[Any]:
    return (
        select(
            *(column for column in datasets.c if column.name != "manifest"),
            func.count(shards.c.idempotency_key).label("shards"),
            func.coalesce(func.sum(case((shards.c.state == "pruned", 1), else_=0)), 0).label("pruned"),
            func.coalesce(func.sum(shards.c.frames), 0).label("frames"),
            func.coalesce(func.sum(shards.c.size_bytes), 0).label("size_bytes"),
        )
        .select_from(datasets.outerjoin(shards, shards.c.dataset_id == datasets.c.dataset_id))
        .group_by(datasets.c.dataset_id)
    )


def _datasets(connection: Connection, statement: Select[Any]) -> list[DatasetEntry]:
    rows = connection.execute(statement).mappings().all()
    tagged = _tags(connection, [row["dataset_id"] for row in rows])
    entries = []
    for row in rows:
        values = dict(row)
        found = tuple(tagged.get(row["dataset_id"], ()))
        for sum_of in ("pruned", "frames", "size_bytes"):
            values[sum_of] = int(values[sum_of])
        entries.append(DatasetEntry(**values, tags=found))
    return entries


def _tags(connection: Connection, names: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    rows = connection.execute(
        select(tags.c.dataset_id, tags.c.tag).where(tags.c.dataset_id.in_(names)).order_by(tags.c.tag)
    )
    for row in rows:
        found.setdefault(row.dataset_id, []).append(row.tag)
    return found


def _details(connection: Connection, entry: DatasetEntry) -> DatasetDetails:
    name = entry.dataset_id
    written = select(notes).where(notes.c.dataset_id == name).order_by(notes.c.id)
    newest = (
        select(site_metadata)
        .where(site_metadata.c.dataset_id == name)
        .order_by(site_metadata.c.id.desc())
        .limit(1)
    )
    software = select(shards.c.recorded_with).where(shards.c.dataset_id == name).distinct()
    annotation = connection.execute(newest).first()
    hold = connection.execute(select(holds).where(holds.c.dataset_id == name)).first()
    return DatasetDetails(
        entry=entry,
        streams=stored_streams(connection, name),
        quantities=stored_quantities(connection, name),
        software=tuple(sorted(connection.execute(software).scalars())),
        notes=tuple(Note(text=row.text, by=row.by, at_utc=row.at_utc) for row in connection.execute(written)),
        annotation=None
        if annotation is None
        else Annotation(
            document=json.loads(annotation.document),
            schema_sha256=annotation.schema_sha256,
            by=annotation.by,
            at_utc=annotation.at_utc,
        ),
        hold=None if hold is None else Hold(why=hold.why, by=hold.by, at_utc=hold.at_utc),
    )
