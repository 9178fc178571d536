"""Files to and from an S3 store. The SDK is imported when a mover first speaks to its store."""

from __future__ import annotations

from ._address import S3Address
from ._client import open_client
from ._mover import S3Mover, open_s3

__all__ = ["S3Address", "S3Mover", "open_client", "open_s3"]
