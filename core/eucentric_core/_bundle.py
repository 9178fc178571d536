"""What travels from the registry to the edge: a signed list of files and how to use them."""

from __future__ import annotations

import json
from typing import Annotated, Self

from pydantic import (
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from ._model import FrozenModel, Identifier, Sha256, UtcDatetime
from ._second_version import SecondVersion

__all__ = [
    "BUNDLE_ENVELOPE",
    "BUNDLE_PAYLOAD_TYPE",
    "DEFAULT_ENGINE",
    "BundleFile",
    "BundleManifest",
    "GoldenChip",
    "Lineage",
]

BUNDLE_PAYLOAD_TYPE = "application/vnd.eucentric.bundle+json"
BUNDLE_ENVELOPE = "manifest.dsse.json"
"""File name of the signed manifest inside a bundle's folder."""

DEFAULT_ENGINE = "atoms"
"""What reads a bundle that names no engine: all of schema version 1."""

MAX_ENGINE_PARAMETERS_BYTES = 256 << 10
"""Longest engine parameters of a bundle, as JSON text (bytes): the whole manifest is limited to 1 MiB."""


class BundleFile(FrozenModel):
    """One file of a bundle. `path` is a bare file name: a bundle has no folders."""

    path: Identifier
    length_bytes: Annotated[int, Field(gt=0, le=1 << 30)]
    sha256: Sha256


class GoldenChip(FrozenModel):
    """An input and what the model must answer to it before it may serve.

    Of the engine `atoms`, `frame` is a `.npy` of shape `(ny, nx)` and `expected` a `.npy` of the ensemble's
    mean heat maps, float32, shape `(n_classes, ny, nx)`. Other engines say in their documentation what they
    take and answer; both are always plain `.npy` arrays of real numbers.
    """

    frame: Identifier
    expected: Identifier
    max_abs_error: Annotated[float, Field(gt=0, le=1)]


class Lineage(FrozenModel):
    """Where a model comes from."""

    datasets: tuple[str, ...]
    code_version: str
    trigger_id: str
    policy: str | None
    run_id: str
    trained_from: str | None = None


class BundleManifest(SecondVersion):
    """The signed part of a model bundle.

    `engine` names what reads it (the entry point group `eucentric.engines`), `parameters` are that engine's
    own, as JSON; both came with version 2. `network`, `preprocessing` and `decoding` are the frozen models
    of `eucentric_models` as JSON, empty where an engine has no such thing; whoever opens a bundle
    validates all of them before it builds anything. `members` are safetensors files, one per ensemble
    member; no file of a bundle is ever unpickled.
    """

    SINCE_VERSION_2 = ("engine", "parameters")

    name: Identifier
    version: Annotated[int, Field(ge=1)]
    material: Identifier
    created_utc: UtcDatetime
    expires_utc: UtcDatetime
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    engine: Identifier = DEFAULT_ENGINE
    parameters: dict[str, JsonValue] = {}
    network: dict[str, JsonValue] = {}
    preprocessing: dict[str, JsonValue] = {}
    decoding: dict[str, JsonValue] = {}
    members: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=64)]
    drift_reference: Identifier
    golden: Annotated[tuple[GoldenChip, ...], Field(min_length=1, max_length=64)]
    metrics: dict[str, float]
    lineage: Lineage
    files: Annotated[tuple[BundleFile, ...], Field(max_length=256)]

    @field_validator("parameters")
    @classmethod
    def _bounded_parameters(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if (length := len(json.dumps(value, allow_nan=False).encode())) > MAX_ENGINE_PARAMETERS_BYTES:
            raise ValueError(f"engine parameters of {length} bytes are over {MAX_ENGINE_PARAMETERS_BYTES}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        listed = [file.path for file in self.files]
        # Two names that differ in case only are one file on Windows.
        if len({path.lower() for path in listed}) != len(listed):
            raise ValueError("a file is listed twice")
        used = {*self.members, self.drift_reference}
        used.update(chip.frame for chip in self.golden)
        used.update(chip.expected for chip in self.golden)
        if missing := used - set(listed):
            raise ValueError(f"not in the list of files: {sorted(missing)}")
        if self.expires_utc <= self.created_utc:
            raise ValueError("expires before it is created")
        return self
