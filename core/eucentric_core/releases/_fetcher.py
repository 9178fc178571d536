"""A source of releases as python-tuf asks for files."""

from __future__ import annotations

from collections.abc import Iterator

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface

from ._source import ReleaseSource

__all__ = ["SourceFetcher"]

_HTTP_NOT_FOUND = 404


class SourceFetcher(FetcherInterface):
    """Reads whole files from a source; longer ones than `max_bytes` are refused before they are held.

    python-tuf then holds each file to the exact length its kind may have.
    """

    def __init__(self, source: ReleaseSource, *, max_bytes: int) -> None:
        self._source = source
        self._max_bytes = max_bytes

    def _fetch(self, url: str) -> Iterator[bytes]:
        content = self._source.read_many([url], max_bytes=self._max_bytes)[url]
        if content is None:
            raise DownloadHTTPError(f"{url} is not there", _HTTP_NOT_FOUND)
        return iter((content,))
