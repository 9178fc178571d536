"""From trained weights to a signed bundle that an edge can check without trusting anyone in between."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from securesystemslib.signer import Signer

from eucentric_core import BundleManifest, GoldenChip, Lineage, utc_now, write_atomic
from eucentric_models import Decoding, DriftReference, NetworkSpec, Preprocessing

from ._bundle_writer import listed_files, refuse_bundle, write_signed

__all__ = ["BundleContent", "build_and_sign_bundle"]

GOLDEN_MAX_ABS_ERROR = 0.02
"""Largest difference in a heat map (probability) that another machine's arithmetic may make; bfloat16
and TF32 stay below it, other weights do not."""


@dataclass(frozen=True, slots=True)
class BundleContent:
    """What a bundle is made of.

    Attributes:
        name: the model an edge serves, for example `atoms`.
        version: the registry's next version; it is part of what is signed.
        material: the material it was trained for.
        classes: names of the heat maps, in order.
        network: architecture of every member.
        preprocessing: normalisation that the members were trained with.
        decoding: how heat maps become detections.
        members: one safetensors blob per ensemble member.
        drift_reference: what normal frames look like to this ensemble.
        golden_frames: raw frames, each `(ny, nx)`; the ensemble's answer to them is computed here and
            must be repeated by every edge before it serves.
        metrics: figures from held-out data.
        lineage: data sets, code, trigger and run that it comes from.
    """

    name: str
    version: int
    material: str
    classes: tuple[str, ...]
    network: NetworkSpec
    preprocessing: Preprocessing
    decoding: Decoding
    members: tuple[bytes, ...]
    drift_reference: DriftReference
    golden_frames: tuple[NDArray[np.generic], ...]
    metrics: Mapping[str, float]
    lineage: Lineage


def build_and_sign_bundle(
    folder: Path, content: BundleContent, signer: Signer, *, valid_for: timedelta = timedelta(days=365)
) -> BundleManifest:
    """Write a bundle folder; it appears complete and signed, or not at all.

    Args:
        folder: must not exist yet; its parent is made if need be.
        content: what goes in.
        signer: the registry's key.
        valid_for: after this time edges refuse to install it.

    Raises:
        RegistryError: the folder exists, or the parts do not fit each other.
        EucentricError: the weights or a golden frame are refused by the models room.
        pydantic.ValidationError: a name, number or count is outside of what a manifest allows.
    """
    if len(content.classes) != content.network.n_classes:
        raise refuse_bundle(
            f"{len(content.classes)} class names for a network with {content.network.n_classes} heat maps.",
            "name every heat map once.",
        )
    return write_signed(folder, lambda aside: _write(aside, content, valid_for), signer)


def _write(folder: Path, content: BundleContent, valid_for: timedelta) -> BundleManifest:
    from eucentric_models.networks import Ensemble

    ensemble = Ensemble(content.network, content.members, preprocessing=content.preprocessing)
    members = tuple(f"member-{index}.safetensors" for index in range(len(content.members)))
    for name, blob in zip(members, content.members, strict=True):
        write_atomic(folder / name, blob)
    write_atomic(folder / "drift-reference.json", content.drift_reference.to_json().encode())
    golden: list[GoldenChip] = []
    for index, frame in enumerate(content.golden_frames):
        inference = ensemble.infer(frame)
        # A reference of another ensemble would make every frame of this one look strange.
        content.drift_reference.score(inference.features)
        chip = GoldenChip(
            frame=f"golden-{index}-frame.npy",
            expected=f"golden-{index}-expected.npy",
            max_abs_error=GOLDEN_MAX_ABS_ERROR,
        )
        write_atomic(folder / chip.frame, _npy(frame))
        write_atomic(folder / chip.expected, _npy(inference.maps.astype(np.float32)))
        golden.append(chip)
    created = utc_now()
    return BundleManifest(
        name=content.name,
        version=content.version,
        material=content.material,
        created_utc=created,
        expires_utc=created + valid_for,
        classes=content.classes,
        network=content.network.model_dump(mode="json"),
        preprocessing=content.preprocessing.model_dump(mode="json"),
        decoding=content.decoding.model_dump(mode="json"),
        members=members,
        drift_reference="drift-reference.json",
        golden=tuple(golden),
        metrics=dict(content.metrics),
        lineage=content.lineage,
        files=listed_files(folder),
    )


def _npy(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()
