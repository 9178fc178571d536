"""Closed files of frames, the list that makes them a data set, and the receipt for each."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ._model import FrozenModel, Identifier, Sha256, UtcDatetime

__all__ = ["DatasetManifest", "Receipt", "Shard"]


class Shard(FrozenModel):
    """A sealed HDF5 file of consecutive acquisitions. Its name is derived from its content hash."""

    schema_version: Literal[1] = 1
    instrument: Identifier
    session: Identifier
    index: Annotated[int, Field(ge=0)]
    first_sequence: Annotated[int, Field(ge=0)]
    last_sequence: Annotated[int, Field(ge=0)]
    frames: Annotated[int, Field(ge=1)]
    streams: Annotated[tuple[str, ...], Field(min_length=1)]
    sha256: Sha256
    size_bytes: Annotated[int, Field(gt=0)]
    sealed_utc: UtcDatetime
    simulated: bool
    sample: Identifier | None = None
    material: Identifier | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.last_sequence < self.first_sequence:
            raise ValueError("last_sequence lies before first_sequence")
        if self.frames > self.last_sequence - self.first_sequence + 1:
            raise ValueError("more frames than sequence numbers")
        return self

    @property
    def dataset_id(self) -> str:
        """The data set this shard belongs to."""
        return f"{self.instrument}.{self.session}"

    @property
    def idempotency_key(self) -> str:
        """Registering the same key twice has the effect of registering it once."""
        return f"{self.instrument}:{self.session}:{self.first_sequence}..{self.last_sequence}:{self.sha256}"

    @property
    def file_name(self) -> str:
        """Name of the HDF5 file, the same at both ends of a transfer."""
        return f"{self.instrument}_{self.session}_{self.index:06d}_{self.sha256[:12]}.h5"


class DatasetManifest(FrozenModel):
    """All shards of one finished recording. A gap in the sequence numbers is listed, never hidden."""

    schema_version: Literal[1] = 1
    instrument: Identifier
    session: Identifier
    shards: tuple[Shard, ...]
    missing_sequences: tuple[int, ...] = ()
    closed_utc: UtcDatetime

    @model_validator(mode="after")
    def _of_one_recording(self) -> Self:
        if any(shard.dataset_id != self.dataset_id for shard in self.shards):
            raise ValueError("a shard of another recording")
        return self

    @property
    def dataset_id(self) -> str:
        """Stable name of the data set."""
        return f"{self.instrument}.{self.session}"

    @property
    def idempotency_key(self) -> str:
        """Registering the manifest of a recording twice has the effect of registering it once."""
        return f"{self.instrument}:{self.session}:manifest"

    @property
    def frames(self) -> int:
        """Number of acquisitions in the data set."""
        return sum(shard.frames for shard in self.shards)


class Receipt(FrozenModel):
    """The far end's word that it holds a shard, or a manifest: only then may the source be deleted.

    SHA-256 and length are those of the shard's file, or of the manifest's JSON.
    """

    schema_version: Literal[1] = 1
    idempotency_key: str
    sha256: Sha256
    size_bytes: Annotated[int, Field(gt=0)]
    received_utc: UtcDatetime
    dataset_id: str
