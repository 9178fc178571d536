"""A shard's own HDF5 paths, by h5grove; nothing outside the shard's file is ever opened."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  # registers the filters that shards are compressed with
import numpy as np
from h5grove import content as h5grove
from h5grove.encoders import Response as Encoded
from h5grove.encoders import encode
from h5grove.models import LinkResolution
from h5grove.utils import QueryArgumentError, parse_slice

from eucentric_core import DataFormatError

from ._errors import SelectionError, TooLargeError

__all__ = ["attributes", "data", "metadata"]

_MAX_PATH = 1000


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataFormatError(
            f"{path.name} cannot be opened.",
            safe="nothing was read.",
            next_step="`eucentric data verify` says what to do.",
        ) from error
    with file:
        yield file


def _entity(file: h5py.File, path: str) -> Any:
    """What a path leads to, hard links all the way: soft and external ones may lead anywhere."""
    names = [name for name in path.split("/") if name]
    if len(path) > _MAX_PATH or "\x00" in path or "." in names or ".." in names:
        raise _no_such(path)
    found: Any = file
    for name in names:
        if not isinstance(found, h5py.Group):
            raise _no_such(path)
        link = found.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise _no_such(path)
        found = found[name]
    return found


def _content(file: h5py.File, path: str) -> Any:
    entity = _entity(file, path)
    return h5grove.create_content(file, entity.name, LinkResolution.NONE)


def _no_such(path: str) -> SelectionError:
    return SelectionError(
        f"The shard has nothing of its own at {path[:200]!r}.",
        safe="nothing was read.",
        next_step="hdf5/meta?path=/ lists what there is; links to elsewhere are not followed.",
    )


def metadata(file: Path, path: str) -> Encoded:
    """What there is at a path: of a group its members, of a data set shape and type."""
    with _opened(file) as opened:
        found = _content(opened, path)
        if not isinstance(found, h5grove.GroupContent):
            return encode(found.metadata(), "json")
        facts = dict(found.metadata(depth=0))
        group = _entity(opened, path)
        facts["children"] = [_child(opened, group, name) for name in group]
        return encode(facts, "json")


def _child(file: h5py.File, group: h5py.Group, name: str) -> dict[str, Any]:
    # h5grove would follow the links of a group's members.
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.HardLink):
        child = h5grove.create_content(file, f"{group.name.rstrip('/')}/{name}", LinkResolution.NONE)
        return dict(child.metadata(depth=0))
    return {"name": name, "kind": "link"}


def attributes(file: Path, path: str, names: list[str] | None) -> Encoded:
    """The attributes at a path."""
    with _opened(file) as opened:
        found = _content(opened, path)
        known = set(_entity(opened, path).attrs)
        if unknown := sorted(set(names or ()) - known):
            raise SelectionError(
                f"There is no attribute {unknown[0][:100]!r}.",
                safe="nothing was read.",
                next_step=f"there are {', '.join(sorted(known))[:500] or 'none'}.",
            )
        return encode(found.attributes(names), "json")


def data(file: Path, path: str, selection: str | None, form: str, max_bytes: int) -> Encoded:
    """Part of a data set, as h5grove encodes it (`json`, `npy`, `bin`, `csv`, `tiff`)."""
    with _opened(file) as opened:
        found = _content(opened, path)
        values = _entity(opened, path)
        if not isinstance(found, h5grove.DatasetContent) or values.is_virtual or values.external:
            raise SelectionError(
                f"{path[:200]!r} holds no values of its own.",
                safe="nothing was read.",
                next_step="hdf5/meta?path=/ lists what there is.",
            )
        try:
            _require_size(values, selection, form, max_bytes)
            return encode(found.data(selection), form)
        except (QueryArgumentError, ValueError, TypeError, IndexError) as error:
            raise SelectionError(
                f"This cannot be selected or encoded: {str(error)[:300]}.",
                safe="nothing was sent.",
                next_step="write e.g. selection=0,10:20,: and format=npy.",
            ) from error
        except OSError as error:
            raise DataFormatError(
                f"{path[:200]!r} cannot be read from {file.name}.",
                safe="nothing was sent.",
                next_step="`eucentric data verify` says what to do.",
            ) from error


def _require_size(values: h5py.Dataset, selection: str | None, form: str, max_bytes: int) -> None:
    shape = values.shape or ()
    if selection:
        # A view of one element has the shape of the answer and no size of its own.
        shape = np.broadcast_to(np.uint8(0), shape)[parse_slice(selection)].shape
    # Numbers in text take more room than in memory.
    size = math.prod(shape) * values.dtype.itemsize * (8 if form in ("json", "csv") else 1)
    if size > max_bytes:
        raise TooLargeError(
            f"The answer would have about {size} bytes, the limit is {max_bytes}.",
            safe="nothing was read.",
            next_step="select less, e.g. selection=0,0:512,0:512.",
        )
