"""What a model is, whoever vouches for it: a signed bundle, or a plain folder with a `model.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, ValidationError

from eucentric_core import BundleManifest, FrozenModel, GoldenChip, Identifier

from ._errors import unusable_model

__all__ = ["MODEL_FILE", "ModelDescription", "read_description"]

MODEL_FILE = "model.json"
"""Describes the model in a folder that is not a signed bundle: shipped with the package, or just trained."""

_MAX_DESCRIPTION_BYTES = 1 << 20


class ModelDescription(FrozenModel):
    """How to open the files of a model.

    Attributes:
        engine: what reads it.
        classes: names of the classes it tells apart, in order; empty for an engine without classes.
        parameters: the engine's own.
        network: architecture, empty where an engine has no such thing; so the next two.
        preprocessing: normalisation.
        decoding: from maps to detections.
        members: safetensors files.
        drift_reference: JSON file; None if there is none.
        golden: inputs with the answers that the model must repeat.
        metrics: figures from held-out data.
        report: sentences: what training did and how sure it is.
    """

    schema_version: Literal[1] = 1
    name: Identifier
    version: Annotated[int, Field(ge=1)]
    engine: Identifier
    classes: tuple[str, ...] = ()
    parameters: dict[str, JsonValue] = {}
    network: dict[str, JsonValue] = {}
    preprocessing: dict[str, JsonValue] = {}
    decoding: dict[str, JsonValue] = {}
    members: Annotated[tuple[Identifier, ...], Field(max_length=64)] = ()
    drift_reference: Identifier | None = None
    golden: Annotated[tuple[GoldenChip, ...], Field(max_length=64)] = ()
    metrics: dict[str, float] = {}
    report: tuple[str, ...] = ()

    @classmethod
    def of_manifest(cls, manifest: BundleManifest) -> Self:
        """The description that a signed manifest contains."""
        shared = set(cls.model_fields) & set(BundleManifest.model_fields) - {"schema_version"}
        return cls.model_validate({name: getattr(manifest, name) for name in shared})


def read_description(folder: Path) -> ModelDescription:
    """The description in a plain model folder.

    Raises:
        EngineError: the folder holds none, or one of another schema.
    """
    path = folder / MODEL_FILE
    try:
        if path.stat().st_size > _MAX_DESCRIPTION_BYTES:
            raise unusable_model(f"{path} is larger than {_MAX_DESCRIPTION_BYTES} bytes.")
        return ModelDescription.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise unusable_model(
            f"{folder} holds no model: {error}.",
            f"name a folder that holds a {MODEL_FILE} or a signed bundle.",
        ) from error
