"""What data sets can be searched by, and how that reads in SQL."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from sqlalchemy import ColumnElement, Select, exists, func, or_, select

from eucentric_core import FrozenModel, UtcDatetime

from ._facts import Quantity
from ._tables import datasets, notes, quantities, shards, site_metadata, streams, tags

__all__ = ["Bounds", "DatasetOrder", "SearchQuery", "conditions", "ordered"]

DatasetOrder = Literal["newest", "oldest", "name", "largest"]
"""In which order data sets are listed; times are those of acquisition."""


def _require_storable(text: str) -> str:
    # PostgreSQL has no NUL in texts; a half of a surrogate pair is no text at all.
    if "\x00" in text or (not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)):
        raise ValueError("holds a character that no text has")
    return text


_Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_require_storable)]


class Bounds(FrozenModel):
    """A range that a quantity must reach into; None is open. Bounds count as within."""

    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minimum is None and self.maximum is None:
            raise ValueError("give at least one bound")
        if self.minimum is not None and self.maximum is not None and self.maximum < self.minimum:
            raise ValueError("maximum lies below minimum")
        return self


class SearchQuery(FrozenModel):
    """What is looked for. Everything that is given must fit; what is left out does not matter.

    Args:
        sample: exact name; so are `material`, `instrument`, `session` and `operator`.
        tags: the data set has every one of them.
        stream: the data set has such a stream.
        since: something was acquired at this time or later.
        until: something was acquired before this time.
        software: part of the name or version of what recorded it.
        text: part of a name, tag, note or of the site's own metadata, in capitals or not.
        quantities: ranges in the units of the names, which the data set's own range must touch.
        order: of the answer.
        limit: most data sets on a page.
        offset: how many to leave out before the page.
    """

    sample: _Text | None = None
    material: _Text | None = None
    instrument: _Text | None = None
    session: _Text | None = None
    operator: _Text | None = None
    simulated: bool | None = None
    state: Literal["open", "complete"] | None = None
    tags: Annotated[tuple[_Text, ...], Field(max_length=32)] = ()
    stream: _Text | None = None
    since: UtcDatetime | None = None
    until: UtcDatetime | None = None
    software: _Text | None = None
    text: _Text | None = None
    quantities: dict[Quantity, Bounds] = {}
    order: DatasetOrder = "newest"
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    offset: Annotated[int, Field(ge=0, le=10**9)] = 0


# Before its headers were read, a data set is as old as its arrival.
_BEGAN = func.coalesce(datasets.c.first_acquired_utc, datasets.c.first_registered_utc)
_ENDED = func.coalesce(datasets.c.last_acquired_utc, datasets.c.first_registered_utc)


def conditions(query: SearchQuery) -> list[ColumnElement[bool]]:
    """What a row of `datasets` must fulfil."""
    wanted: list[ColumnElement[bool]] = []
    exact = {
        datasets.c.sample: query.sample,
        datasets.c.material: query.material,
        datasets.c.instrument: query.instrument,
        datasets.c.session: query.session,
        datasets.c.operator: query.operator,
        datasets.c.simulated: query.simulated,
        datasets.c.state: query.state,
    }
    wanted += [column == value for column, value in exact.items() if value is not None]
    if query.since is not None:
        wanted.append(query.since <= _ENDED)
    if query.until is not None:
        wanted.append(query.until > _BEGAN)
    wanted += [_has(tags.c.dataset_id, tags.c.tag == tag) for tag in query.tags]
    if query.stream is not None:
        wanted.append(_has(streams.c.dataset_id, streams.c.stream == query.stream))
    if query.software is not None:
        wanted.append(
            _has(shards.c.dataset_id, shards.c.recorded_with.icontains(query.software, autoescape=True))
        )
    wanted += [_within(name, bounds) for name, bounds in query.quantities.items()]
    if query.text is not None:
        wanted.append(_mentions(query.text))
    return wanted


def ordered(statement: Select[tuple[object, ...]], order: DatasetOrder) -> Select[tuple[object, ...]]:
    """The statement with its rows in this order, the same every time."""
    by = {
        "newest": (_BEGAN.desc(),),
        "oldest": (_BEGAN.asc(),),
        "name": (),
        "largest": (func.coalesce(func.sum(shards.c.size_bytes), 0).desc(),),
    }[order]
    return statement.order_by(*by, datasets.c.dataset_id)


def _has(owner: ColumnElement[str], condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists(select(1).where(owner == datasets.c.dataset_id, condition).correlate(datasets))


def _within(name: Quantity, bounds: Bounds) -> ColumnElement[bool]:
    condition = quantities.c.name == name
    if bounds.minimum is not None:
        condition &= quantities.c.maximum >= bounds.minimum
    if bounds.maximum is not None:
        condition &= quantities.c.minimum <= bounds.maximum
    return _has(quantities.c.dataset_id, condition)


def _mentions(text: str) -> ColumnElement[bool]:
    own = (datasets.c.dataset_id, datasets.c.sample, datasets.c.material, datasets.c.operator)
    newest = (
        select(func.max(site_metadata.c.id))
        .where(site_metadata.c.dataset_id == datasets.c.dataset_id)
        .correlate(datasets)
        .scalar_subquery()
    )
    return or_(
        *(column.icontains(text, autoescape=True) for column in own),
        _has(tags.c.dataset_id, tags.c.tag.icontains(text, autoescape=True)),
        _has(notes.c.dataset_id, notes.c.text.icontains(text, autoescape=True)),
        _has(
            site_metadata.c.dataset_id,
            (site_metadata.c.id == newest) & site_metadata.c.document.icontains(text, autoescape=True),
        ),
    )
