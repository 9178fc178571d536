"""Releases from a web server: bounded in bytes and in time."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .._errors import DataFormatError, IntegrityError, ReleaseUnreachableError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

__all__ = ["HttpSource"]

_CHUNK_BYTES = 256 << 10
_MAX_FILE_BYTES = 1 << 30
_ABSENT = (403, 404, 410)


class HttpSource:
    """Reads releases below a URL. A `ReleaseSource`.

    Args:
        url: for example `https://hub.example.org/releases`. Encryption keeps others from reading along;
            what arrives is verified either way.
        timeout_s: longest wait for a connection and for each piece.
        deadline_s: longest time for one file: a server that drips is a server that does not answer.
        authority: certificates (PEM) that the server's own must descend from; None for the system's.
    """

    def __init__(
        self, url: str, *, timeout_s: float = 10.0, deadline_s: float = 300.0, authority: Path | None = None
    ) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._deadline_s = deadline_s
        self._authority = authority
        self._pool: PoolManager | None = None

    def read_many(self, names: Sequence[str], *, max_bytes: int) -> Mapping[str, bytes | None]:
        """See `ReleaseSource.read_many`."""
        return {name: self._read(name, max_bytes) for name in names}

    def get(self, name: str, target: Path, *, sha256: str | None = None) -> Path:
        """See `ReleaseSource.get`."""
        aside, digest = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part"), hashlib.sha256()
        try:
            with self._asking(name) as answer, aside.open("xb") as stream:
                if answer is None:
                    raise _unreachable(f"{self._url}/{name} is not there.")
                for piece in self._pieces(answer, name, _MAX_FILE_BYTES):
                    digest.update(piece)
                    stream.write(piece)
            if sha256 is not None and digest.hexdigest() != sha256:
                raise IntegrityError(
                    f"{name} arrived with another content than was signed.",
                    safe="what arrived was thrown away.",
                    next_step="look who or what changes files on the way, then fetch it again.",
                )
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
        return target

    def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.clear()

    def _read(self, name: str, max_bytes: int) -> bytes | None:
        with self._asking(name) as answer:
            return None if answer is None else b"".join(self._pieces(answer, name, max_bytes))

    def _pieces(self, answer: BaseHTTPResponse, name: str, max_bytes: int) -> Iterator[bytes]:
        end_s, length = time.monotonic() + self._deadline_s, 0
        while piece := answer.read(_CHUNK_BYTES, decode_content=False):
            length += len(piece)
            if length > max_bytes:
                raise DataFormatError(
                    f"{name} is longer than {max_bytes} bytes.",
                    safe="it was not used.",
                    next_step="check who wrote it.",
                )
            if time.monotonic() > end_s:
                raise _unreachable(f"{self._url} needs more than {self._deadline_s:g} s for {name}.")
            yield piece

    @contextmanager
    def _asking(self, name: str) -> Iterator[BaseHTTPResponse | None]:
        from urllib3 import PoolManager, Retry, Timeout
        from urllib3.exceptions import HTTPError

        if self._pool is None:
            authority = None if self._authority is None else str(self._authority)
            # Redirects would lead to places nobody has chosen.
            retries = Retry(total=2, redirect=0, backoff_factor=0.2)
            self._pool = PoolManager(
                timeout=Timeout(self._timeout_s), retries=retries, maxsize=2, ca_certs=authority
            )
        try:
            answer = self._pool.request("GET", f"{self._url}/{name}", preload_content=False, redirect=False)
            try:
                if answer.status in _ABSENT:
                    yield None
                elif answer.status != 200:
                    raise _unreachable(f"{self._url} answers {answer.status} for {name}.")
                else:
                    yield answer
            finally:
                # Unread bytes are not worth a connection.
                answer.close()
                answer.release_conn()
        except HTTPError as error:
            raise _unreachable(f"{self._url} does not answer: {type(error).__name__}.") from error


def _unreachable(what: str) -> ReleaseUnreachableError:
    return ReleaseUnreachableError(
        what,
        safe="the model in service keeps serving.",
        next_step="check the server and the network; it is asked again by itself.",
    )
