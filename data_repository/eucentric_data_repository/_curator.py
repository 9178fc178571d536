"""What people add to data sets: tags, notes, the site's own metadata, and their word to keep them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import JsonValue
from sqlalchemy import Connection, delete, insert, select, update

from eucentric_core import DataFormatError, utc_now

from ._database import Database
from ._lookup import require_dataset
from ._metadata_schema import MetadataSchema
from ._tables import datasets, holds, notes, site_metadata, tags
from ._writer import CatalogueWriter

__all__ = ["Curator"]

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:+-]{0,63}", re.ASCII)
_MAX_TEXT = 10_000
_MAX_DOCUMENT_BYTES = 1 << 20


class Curator(CatalogueWriter):
    """Writes what people say about data sets. Every method may be repeated.

    Args:
        database: a database, or the SQLite file in a repository's root.
        by: who says it.

    Every method raises `ConfigurationError` for a data set that is not in the catalogue.
    """

    def __init__(self, database: Database | Path, *, by: str) -> None:
        super().__init__(database)
        self._by = by[:200]

    def tag(self, dataset_id: str, wanted: Sequence[str]) -> None:
        """Add tags.

        Raises:
            DataFormatError: a tag is empty, longer than 64 characters, or has others than letters, digits,
                spaces and `. _ : + -`.
        """
        for tag in wanted:
            if _TAG.fullmatch(tag) is None or tag != tag.strip():
                raise _refuse(
                    f"{tag[:80]!r} is no tag.", "use up to 64 letters, digits, spaces and . _ : + -"
                )
        with self._transaction() as connection:
            require_dataset(connection, dataset_id)
            held = set(
                connection.execute(select(tags.c.tag).where(tags.c.dataset_id == dataset_id)).scalars()
            )
            for tag in sorted(set(wanted) - held):
                connection.execute(
                    insert(tags).values(dataset_id=dataset_id, tag=tag, by=self._by, at_utc=utc_now())
                )

    def untag(self, dataset_id: str, unwanted: Sequence[str]) -> None:
        """Take tags away; one that is not there is no error."""
        with self._transaction() as connection:
            require_dataset(connection, dataset_id)
            connection.execute(
                delete(tags).where(tags.c.dataset_id == dataset_id, tags.c.tag.in_(list(unwanted)))
            )

    def note(self, dataset_id: str, text: str) -> None:
        """Add a note; the notes before it stay.

        Raises:
            DataFormatError: it is empty, or longer than 10 000 characters.
        """
        if not text.strip() or len(text) > _MAX_TEXT or "\x00" in text:
            raise _refuse("A note has 1 to 10 000 characters.", "shorten it, or keep it in a file.")
        with self._transaction() as connection:
            require_dataset(connection, dataset_id)
            said = select(notes.c.id).where(
                notes.c.dataset_id == dataset_id, notes.c.text == text, notes.c.by == self._by
            )
            if connection.execute(said).first() is None:
                connection.execute(
                    insert(notes).values(dataset_id=dataset_id, text=text, by=self._by, at_utc=utc_now())
                )

    def annotate(
        self,
        dataset_id: str,
        document: dict[str, JsonValue],
        *,
        schema: MetadataSchema | None = None,
        merge: bool = False,
    ) -> dict[str, JsonValue]:
        """Write the site's own metadata. What was there before is kept as history, never lost.

        Args:
            dataset_id: which data set.
            document: the metadata; an `operator` in them can be searched for.
            schema: what they must be.
            merge: keep the keys of the present metadata that are not given.

        Returns:
            The metadata as they are now.

        Raises:
            DataFormatError: they are not what the schema asks for, or longer than 1 MiB.
            UnsupportedError: the schema cannot be checked on this machine.
        """
        with self._transaction() as connection:
            require_dataset(connection, dataset_id)
            before = _present(connection, dataset_id)
            now = {**before, **document} if merge else document
            if schema is not None:
                schema.require_valid(now)
            text = _as_text(now)
            if now != before:
                connection.execute(
                    insert(site_metadata).values(
                        dataset_id=dataset_id,
                        document=text,
                        schema_sha256=schema.sha256 if schema is not None else None,
                        by=self._by,
                        at_utc=utc_now(),
                    )
                )
                operator = now.get("operator")
                connection.execute(
                    update(datasets)
                    .where(datasets.c.dataset_id == dataset_id)
                    .values(operator=operator if isinstance(operator, str) else None)
                )
        return now

    def hold(self, dataset_id: str, why: str) -> None:
        """Forbid that anything of the data set is deleted. A hold that is there keeps its reason."""
        with self._transaction() as connection:
            require_dataset(connection, dataset_id)
            held = select(holds.c.dataset_id).where(holds.c.dataset_id == dataset_id)
            if connection.execute(held).first() is None:
                connection.execute(
                    insert(holds).values(
                        dataset_id=dataset_id, why=why[:_MAX_TEXT], by=self._by, at_utc=utc_now()
                    )
                )

    def release(self, dataset_id: str) -> None:
        """Take the hold away; the retention rules count again."""
        with self._transaction() as connection:
            require_dataset(connection, dataset_id)
            connection.execute(delete(holds).where(holds.c.dataset_id == dataset_id))


def _present(connection: Connection, dataset_id: str) -> dict[str, JsonValue]:
    text = connection.execute(
        select(site_metadata.c.document)
        .where(site_metadata.c.dataset_id == dataset_id)
        .order_by(site_metadata.c.id.desc())
        .limit(1)
    ).scalar()
    return json.loads(text) if text is not None else {}


def _as_text(document: dict[str, JsonValue]) -> str:
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True)
    except ValueError as error:
        raise _refuse(f"The metadata are no JSON: {error}.", "leave out NaN and infinities.") from error
    # PostgreSQL's text has no NUL, not even as an escape that somebody unpacks.
    if "\\u0000" in text or len(text.encode(errors="surrogatepass")) > _MAX_DOCUMENT_BYTES:
        raise _refuse("The metadata hold a NUL or are longer than 1 MiB.", "keep long texts in a file.")
    return text


def _refuse(what: str, next_step: str) -> DataFormatError:
    return DataFormatError(what, safe="nothing was written.", next_step=next_step)
