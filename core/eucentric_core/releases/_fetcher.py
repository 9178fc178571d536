"""A source of releases as python-tuf asks for files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ._source import ReleaseSource

if TYPE_CHECKING:
    from tuf.ngclient import FetcherInterface

__all__ = ["fetcher_of"]

_HTTP_NOT_FOUND = 404


def fetcher_of(source: ReleaseSource, *, max_bytes: int) -> FetcherInterface:
    """Reads whole files from a source; longer ones than `max_bytes` are refused before they are held.

    python-tuf then holds each file to the exact length its kind may have.
    """
    # Late: securesystemslib, beneath it, imports every cloud's SDK that it finds.
    from tuf.api.exceptions import DownloadHTTPError
    from tuf.ngclient import FetcherInterface

    class SourceFetcher(FetcherInterface):
        def _fetch(self, url: str) -> Iterator[bytes]:
            content = source.read_many([url], max_bytes=max_bytes)[url]
            if content is None:
                raise DownloadHTTPError(f"{url} is not there", _HTTP_NOT_FOUND)
            return iter((content,))

    return SourceFetcher()
