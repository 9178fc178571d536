"""What a file is before it is sent: its hash, and those of the parts it is sent in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eucentric_core import IntegrityError

__all__ = ["FileDigests", "PartDigests", "digest_bytes", "digest_file"]

MAX_PARTS = 10_000
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PartDigests:
    """Part `number` (from 1) of a file, `size_bytes` from `offset` on."""

    number: int
    offset: int
    size_bytes: int
    md5: bytes
    sha256: bytes

    @property
    def content_md5(self) -> str:
        """As the header `Content-MD5` carries it."""
        return base64.b64encode(self.md5).decode()

    @property
    def checksum_sha256(self) -> str:
        """As the header `x-amz-checksum-sha256` carries it."""
        return base64.b64encode(self.sha256).decode()


@dataclass(frozen=True, slots=True)
class FileDigests:
    """A file's length, its SHA-256 (64 hexadecimal digits) and its parts; one part if it is not larger."""

    size_bytes: int
    sha256: str
    parts: tuple[PartDigests, ...]

    @property
    def checksum_sha256(self) -> str:
        """What a store that verifies SHA-256 says of the object: of the whole, or of the parts' hashes."""
        if len(self.parts) == 1:
            return self.parts[0].checksum_sha256
        joined = hashlib.sha256(b"".join(part.sha256 for part in self.parts)).digest()
        return f"{base64.b64encode(joined).decode()}-{len(self.parts)}"


def digest_bytes(content: bytes) -> FileDigests:
    """A small document, sent in one piece."""
    sha256 = hashlib.sha256(content)
    md5 = hashlib.md5(content, usedforsecurity=False).digest()
    return FileDigests(
        len(content), sha256.hexdigest(), (PartDigests(1, 0, len(content), md5, sha256.digest()),)
    )


def digest_file(source: Path, part_bytes: int, *, go_on: Callable[[], None]) -> FileDigests:
    """Read a file once and hash it. `go_on` is called now and then and may raise to end it.

    Raises:
        IntegrityError: it cannot be read.
    """
    try:
        with source.open("rb") as stream:
            size_bytes = stream.seek(0, 2)
            stream.seek(0)
            part_bytes = max(part_bytes, -(-size_bytes // MAX_PARTS))
            whole = hashlib.sha256()
            parts: list[PartDigests] = []
            for number, offset in enumerate(range(0, max(size_bytes, 1), part_bytes), start=1):
                left = part_bytes
                md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
                while left and (chunk := stream.read(min(left, _CHUNK_BYTES))):
                    go_on()
                    for digest in (whole, md5, sha256):
                        digest.update(chunk)
                    left -= len(chunk)
                parts.append(PartDigests(number, offset, part_bytes - left, md5.digest(), sha256.digest()))
            length = sum(part.size_bytes for part in parts)
    except OSError as error:
        raise IntegrityError(
            f"The file to send, {source.name}, cannot be read: {error.strerror or error}.",
            safe="nothing was written at the far end.",
            next_step="see the journal's quarantine; the other files are not affected.",
        ) from error
    return FileDigests(length, whole.hexdigest(), tuple(parts))
