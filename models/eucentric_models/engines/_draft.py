"""What a recipe hands over: everything of a bundle but its name, version, lineage and signature."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, JsonValue, model_validator

from eucentric_core import FrozenModel, GoldenChip, Identifier

__all__ = ["BundleDraft"]

_SUFFIXES = (".safetensors", ".onnx", ".json", ".npy")


class BundleDraft(FrozenModel):
    """A trained model as files and parameters, ready to be signed.

    Attributes:
        engine: what reads it.
        classes: names of the classes, in order; a regression names its one quantity with its unit.
        parameters: the engine's own, JSON.
        network: architecture; `{}` where the engine has no such thing, as for the next two.
        preprocessing: normalisation that the members were trained with.
        decoding: how maps become detections.
        files: name in the bundle to where the file lies now; safetensors, ONNX, JSON and npy only.
        members: which of them are weights.
        drift_reference: which of them says what normal input looks like.
        golden: inputs with the answers that the model must repeat wherever it is opened.
        metrics: figures from held-out data, finite, with units in their names.
        report: sentences: what training did, and how sure it is.
        details: the recipe's own record of the training, JSON.
    """

    engine: Identifier
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    parameters: dict[str, JsonValue] = {}
    network: dict[str, JsonValue] = {}
    preprocessing: dict[str, JsonValue] = {}
    decoding: dict[str, JsonValue] = {}
    files: dict[Identifier, Path]
    members: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=64)]
    drift_reference: Identifier
    golden: Annotated[tuple[GoldenChip, ...], Field(min_length=1, max_length=64)]
    metrics: dict[str, float]
    report: Annotated[tuple[str, ...], Field(min_length=1)]
    details: dict[str, JsonValue] = {}

    @property
    def weights(self) -> tuple[Path, ...]:
        """Where the members lie now, in order."""
        return tuple(self.files[name] for name in self.members)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        used = {*self.members, self.drift_reference}
        used.update(name for chip in self.golden for name in (chip.frame, chip.expected))
        if used != set(self.files):
            raise ValueError(f"files and their uses differ: {sorted(used ^ set(self.files))}")
        if foreign := sorted(name for name in self.files if not name.endswith(_SUFFIXES)):
            raise ValueError(f"files of a kind that no bundle may hold: {foreign}")
        return self
