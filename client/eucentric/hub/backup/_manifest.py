"""What an archive says of itself: the last file in it, with the hash of every other."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import FrozenModel, Sha256, UtcDatetime

__all__ = ["MANIFEST", "SEALED", "BackupManifest", "CopiedDatabase", "Member"]

MANIFEST = "manifest.json"
SEALED = "secrets.sealed"


class Member(FrozenModel):
    """A file in the archive."""

    size_bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256


class CopiedDatabase(FrozenModel):
    """A database in the archive.

    Args:
        member: name of its dump.
        rows: number of rows of each table at the moment of the copy.
    """

    member: str
    rows: dict[str, Annotated[int, Field(ge=0)]]


class BackupManifest(FrozenModel):
    """Everything about an archive.

    Args:
        schema_version: of this document.
        made_utc: when the copy began: what was later is not in it.
        hub: name of the hub.
        home: where it lay. Parts below it move with it; others go back to where they were.
        eucentric_version: what made it.
        postgres_version: whose dumps these are; an older one cannot read them.
        members: every other file of the archive.
        databases: by name.
        outside: parts that did not lie below the home: by their name in the archive, where they lay.
        secrets: whether they are here, sealed, or were left out.
        data: whether the repository's shards are here.
        artefacts: how many files of MLflow's S3 store are here; None: its artefacts lie below the home.
        left_out: what was not copied, and why.
    """

    schema_version: Literal[1] = 1
    made_utc: UtcDatetime
    hub: str
    home: str
    eucentric_version: str
    postgres_version: str
    members: dict[str, Member] = {}
    databases: dict[str, CopiedDatabase] = {}
    outside: dict[str, str] = {}
    secrets: Literal["sealed", "left out"] = "left out"
    data: Literal["documents", "all"] = "documents"
    artefacts: int | None = None
    left_out: dict[str, str] = {}
