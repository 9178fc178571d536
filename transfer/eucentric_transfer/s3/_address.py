"""Addresses such as `s3://bucket/prefix`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from eucentric_core import ConfigurationError, DataFormatError

from .._names import checked_name

__all__ = ["S3Address"]

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)


@dataclass(frozen=True, slots=True)
class S3Address:
    """A bucket and what every name in it begins with (empty, or ending in a slash)."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> S3Address:
        """Read `s3://bucket/prefix`.

        Raises:
            ConfigurationError: it is not of that form; the error does not repeat it.
        """
        parts = urlsplit(url)
        prefix = parts.path.strip("/")
        if _BUCKET.fullmatch(parts.netloc) is None or parts.query or parts.fragment or not _is_plain(prefix):
            raise ConfigurationError(
                "The address of the S3 store is not of the form s3://bucket/prefix.",
                safe="nothing was opened.",
                next_step="give bucket and prefix only; the store itself is named by s3.endpoint.",
            )
        return cls(parts.netloc, f"{prefix}/" if prefix else "")

    def key(self, name: str) -> str:
        """The object's key for a file's name.

        Raises:
            DataFormatError: the name is not plain.
        """
        return f"{self.prefix}{'/'.join(checked_name(name))}"

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


def _is_plain(prefix: str) -> bool:
    try:
        return not prefix or bool(checked_name(prefix))
    except DataFormatError:
        return False
