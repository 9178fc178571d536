"""A document on its way to the repository, with its SHA-256: whoever changes a byte of it is found out."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError

from ._errors import IntegrityError
from ._model import FrozenModel, Sha256

__all__ = ["SentDocument"]


class SentDocument(FrozenModel):
    """The JSON of a `Shard` or a `DatasetManifest` as text, and the SHA-256 of its UTF-8 bytes."""

    schema_version: Literal[1] = 1
    sha256: Sha256
    document: Annotated[str, Field(min_length=1)]

    @classmethod
    def of(cls, document: str) -> Self:
        """A document that is about to be sent."""
        return cls(sha256=sha256(document.encode()).hexdigest(), document=document)

    @staticmethod
    def opened(content: bytes) -> bytes:
        """The document that arrived, UTF-8. One that an earlier version sent bare is given as it is.

        Raises:
            IntegrityError: it is not what was sent.
        """
        try:
            if not _is_enclosed(content):
                return content
            sent = SentDocument.model_validate_json(content)
        except ValidationError as error:
            raise _changed(f"it cannot be read: {error}") from error
        document = sent.document.encode()
        if sha256(document).hexdigest() != sent.sha256:
            raise _changed("its SHA-256 is another")
        return document


def _is_enclosed(content: bytes) -> bool:
    # What is no JSON at all is refused by whoever reads the document.
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "document" in found


def _changed(why: str) -> IntegrityError:
    return IntegrityError(
        f"A document is not what was sent: {why}.",
        safe="nothing was registered.",
        next_step="its sender sends it again when it finds no receipt; check what carries it.",
    )
