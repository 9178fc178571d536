"""The routes. Names from an address are looked up in the catalogue and never become a path."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import ValidationError

from eucentric_core import BusyError, ServiceUnavailableError, explain_problem

from .._catalogue import Catalogue
from .._entries import DatasetDetails, SearchResult, ShardEntry
from .._facts import QUANTITIES
from .._intact import require_intact
from .._provenance import trace
from .._provenance_views import provenance_prov
from .._root_marker import require_root
from .._search import DatasetOrder, SearchQuery
from . import _hdf5
from ._encode import FrameFormat, as_json, as_npy, as_png, as_tiff, headers_as_json
from ._errors import SelectionError, answer_errors
from ._select import FrameSlice, parse_slice, require_here, select_frames

__all__ = ["make_app"]

_READERS = 4
_READER_WAIT_S = 20.0

_Dataset = Annotated[str, Path(max_length=250)]
_Stream = Annotated[str, Path(max_length=64)]
_Sequence = Annotated[int | None, Query(ge=0, le=2**62)]
_Slice = Annotated[str | None, Query(max_length=60)]
_FORMATS = Literal["json", "npy", "bin", "csv", "tiff"]


def make_app(catalogue: Catalogue, *, max_response_bytes: int, repository_id: str | None = None) -> FastAPI:
    """The application behind the door; it reads and never writes.

    Args:
        catalogue: what is shown.
        max_response_bytes: largest answer with array data.
        repository_id: of the repository that must lie in the root; None for any.
    """
    app = FastAPI(
        title="Eucentric data repository",
        version=version("eucentric"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    answer_errors(app)
    readers = threading.BoundedSemaphore(_READERS)

    @contextmanager
    def reading() -> Iterator[None]:
        # Each holds an answer's worth of memory.
        if not readers.acquire(timeout=_READER_WAIT_S):
            raise BusyError(
                f"{_READERS} others are reading large parts just now.",
                safe="nothing was read.",
                next_step="try again in a moment.",
            )
        try:
            yield
        finally:
            readers.release()

    @app.get("/health")
    def health() -> JSONResponse:
        """Whether the door is open and the root is there."""
        said: dict[str, Any] = {"service": "repository", "version": version("eucentric"), "state": "serving"}
        try:
            require_root(catalogue.root, repository_id)
        except ServiceUnavailableError as error:
            said |= {"state": "root away", "error": error.report().model_dump(mode="json")}
            return JSONResponse(said, status_code=503)
        return JSONResponse(said)

    @app.get("/datasets")
    def search(
        request: Request,
        tag: Annotated[list[str] | None, Query()] = None,
        since: datetime | None = None,
        until: datetime | None = None,
        order: DatasetOrder = "newest",
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    ) -> SearchResult:
        """Search: sample, material, instrument, session, operator, stream, software, text, simulated, state,
        tag (repeated), since, until, and `<quantity>_min`, `<quantity>_max` in SI: `field_of_view_m_max`.
        """
        given: dict[str, Any] = {"tags": tag or (), "since": since, "until": until, "order": order}
        own = {"tag", "since", "until", "order", "limit", "offset"}
        others = {key: value for key, value in request.query_params.items() if key not in own}
        return catalogue.search(_query({**given, "limit": limit, "offset": offset}, others))

    @app.get("/datasets/{dataset_id}")
    def show(dataset_id: _Dataset) -> DatasetDetails:
        """Everything about one data set but its shards."""
        return catalogue.dataset(dataset_id)

    @app.get("/datasets/{dataset_id}/shards")
    def shards(dataset_id: _Dataset) -> dict[str, Any]:
        """Its shards, with hashes and sequence numbers."""
        catalogue.dataset(dataset_id)
        entries = catalogue.shards(dataset_id=dataset_id)
        # Where a file lies on this machine is nobody's business.
        return {"shards": [entry.model_dump(mode="json", exclude={"path"}) for entry in entries]}

    @app.get("/datasets/{dataset_id}/provenance")
    def provenance(dataset_id: _Dataset, shards: bool = False) -> JSONResponse:
        """W3C PROV-JSON."""
        catalogue.dataset(dataset_id)
        return JSONResponse(provenance_prov(trace(catalogue, dataset_id, with_shards=shards)))

    def choose(
        dataset_id: str,
        stream: str,
        start: int | None,
        stop: int | None,
        rows: str | None = None,
        columns: str | None = None,
    ) -> FrameSlice:
        return select_frames(
            catalogue,
            dataset_id,
            stream,
            start=start or 0,
            stop=stop,
            rows=parse_slice("rows", rows),
            columns=parse_slice("columns", columns),
            max_bytes=max_response_bytes,
        )

    @app.get("/datasets/{dataset_id}/streams/{stream}/frames", response_class=Response)
    def frames(
        dataset_id: _Dataset,
        stream: _Stream,
        start: _Sequence = None,
        stop: _Sequence = None,
        rows: _Slice = None,
        columns: _Slice = None,
        form: Annotated[FrameFormat, Query(alias="format")] = "npy",
        low: float | None = None,
        high: float | None = None,
    ) -> Response:
        """Frames with sequence numbers from `start` up to and without `stop`, cut to rows and columns."""
        chosen = choose(dataset_id, stream, start, stop, rows, columns)
        said = {"X-Eucentric-Sequences": _sequences(chosen)}
        if form == "npy":
            length, parts = as_npy(chosen)
            said["Content-Length"] = str(length)
            return StreamingResponse(parts, media_type="application/octet-stream", headers=said)
        with reading():
            if form == "json":
                return Response(as_json(chosen), media_type="application/json", headers=said)
            if form == "tiff":
                return Response(as_tiff(chosen), media_type="image/tiff", headers=said)
            picture, black, white = as_png(chosen, low, high)
        said |= {"X-Eucentric-Black": repr(black), "X-Eucentric-White": repr(white)}
        return Response(picture, media_type="image/png", headers=said)

    @app.get("/datasets/{dataset_id}/streams/{stream}/headers", response_class=Response)
    def headers(
        dataset_id: _Dataset, stream: _Stream, start: _Sequence = None, stop: _Sequence = None
    ) -> Response:
        """The frames' headers: calibration, optics, stage, dose."""
        with reading():
            # The arrays stay where they are: it is the headers themselves that are counted.
            chosen = select_frames(catalogue, dataset_id, stream, start=start or 0, stop=stop, max_bytes=None)
            return Response(headers_as_json(chosen, max_response_bytes), media_type="application/json")

    def shard_of(dataset_id: str, file_name: str) -> ShardEntry:
        catalogue.dataset(dataset_id)
        for entry in catalogue.shards(dataset_id=dataset_id):
            if entry.shard.file_name == file_name:
                require_here(entry)
                require_intact(catalogue.root, entry)
                return entry
        raise SelectionError(
            f"Data set {dataset_id} has no shard {file_name[:250]!r}.",
            safe="nothing was read.",
            next_step="/datasets/{id}/shards lists them.",
        )

    @app.get("/datasets/{dataset_id}/shards/{file_name}/hdf5/meta", response_class=Response)
    def hdf5_meta(dataset_id: _Dataset, file_name: str, path: str = "/") -> Response:
        """What there is at a path of a shard's HDF5 file."""
        found = _hdf5.metadata(shard_of(dataset_id, file_name).path, path)
        return Response(found.content, headers=found.headers)

    @app.get("/datasets/{dataset_id}/shards/{file_name}/hdf5/attr", response_class=Response)
    def hdf5_attributes(
        dataset_id: _Dataset,
        file_name: str,
        path: str = "/",
        attr_keys: Annotated[list[str] | None, Query()] = None,
    ) -> Response:
        """Attributes at a path of a shard's HDF5 file."""
        found = _hdf5.attributes(shard_of(dataset_id, file_name).path, path, attr_keys)
        return Response(found.content, headers=found.headers)

    @app.get("/datasets/{dataset_id}/shards/{file_name}/hdf5/data", response_class=Response)
    def hdf5_data(
        dataset_id: _Dataset,
        file_name: str,
        path: str,
        selection: Annotated[str | None, Query(max_length=200)] = None,
        form: Annotated[_FORMATS, Query(alias="format")] = "json",
    ) -> Response:
        """Part of a data set of a shard's HDF5 file, by h5grove: selection=0,10:20,:"""
        entry = shard_of(dataset_id, file_name)
        with reading():
            found = _hdf5.data(entry.path, path, selection, form, max_response_bytes)
        return Response(found.content, headers=found.headers)

    return app


def _query(given: dict[str, Any], others: dict[str, str]) -> SearchQuery:
    bounds: dict[str, dict[str, str]] = {}
    for key, value in others.items():
        quantity, _, end = key.rpartition("_")
        if end in ("min", "max") and quantity in QUANTITIES:
            bounds.setdefault(quantity, {})["minimum" if end == "min" else "maximum"] = value
        else:
            given[key] = value
    try:
        return SearchQuery.model_validate({**given, "quantities": bounds})
    except ValidationError as error:
        raise SelectionError(
            ("; ".join(explain_problem(dict(problem)) for problem in error.errors()) + ".")[:1000],
            safe="nothing was searched.",
            next_step="see docs/repository.md for what can be given.",
        ) from error


def _sequences(chosen: FrameSlice) -> str:
    """The numbers that were found, e.g. `0-3,5`; gaps are where frames are missing."""
    ranges: list[list[int]] = []
    for number in (header.sequence for header in chosen.headers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    said = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:256]]
    return ",".join(said) + (",..." if len(ranges) > 256 else "")
