"""A registry in small: signed bundles of tiny networks with random weights, and ways to spoil them."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from eucentric_core import (
    BUNDLE_ENVELOPE,
    BUNDLE_PAYLOAD_TYPE,
    Frame,
    Lineage,
    TrustedKeys,
    sha256_file,
)
from eucentric_model_registry import BundleContent, build_and_sign_bundle, trusted_keys_of
from eucentric_models import Decoding, DriftReference, NetworkSpec, Preprocessing
from eucentric_models.networks import Ensemble, build_network, weights_to_bytes

from ..frames import frame_around

SHAPE = (48, 40)
SPEC = NetworkSpec(n_classes=2, base_filters=4, depth=1, stem_factor=2)


def image(seed: int, *, mean_counts: float = 20.0) -> np.ndarray:
    """A frame of nothing but noise, (48, 40) float32."""
    return np.random.default_rng(seed).poisson(mean_counts, SHAPE).astype(np.float32)


def striped_image(seed: int) -> np.ndarray:
    """A frame unlike those of the drift reference."""
    return image(seed) + 200 * (np.arange(SHAPE[1]) % 8 < 4).astype(np.float32)


def frame_of(array: np.ndarray, sequence: int, **changes: Any) -> Frame:
    """A calibrated HAADF frame."""
    return frame_around(array, sequence, pixel_size_m=1e-11, **{"material": None, **changes})


class BundleMaker:
    """Makes bundles; the seed decides the weights. Good ones are made once and copied."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[int, Path] = {}
        self.signer = CryptoSigner.generate_ed25519()
        self.trusted: TrustedKeys = trusted_keys_of(self.signer)

    def members(self, seed: int, spec: NetworkSpec = SPEC) -> tuple[bytes, ...]:
        """Two members with random weights, larger than at the start of a training so that they differ."""
        blobs = []
        for member in range(2):
            network = build_network(spec, torch.Generator().manual_seed(10 * seed + member))
            with torch.no_grad():
                network.head.weight.mul_(5)
            blobs.append(weights_to_bytes(network))
        return tuple(blobs)

    def ensemble(self, seed: int) -> Ensemble:
        """The network that a bundle of this seed holds."""
        return Ensemble(SPEC, self.members(seed))

    def make(self, version: int, **changes: Any) -> Path:
        """A bundle whose weights come from the seed `version`; good unless the changes spoil it."""
        if changes:
            return self._build(version, **changes)
        if version not in self._made:
            self._made[version] = self._build(version)
        copied = self._new_folder()
        shutil.copytree(self._made[version], copied)
        return copied

    def _new_folder(self) -> Path:
        return self._folder / f"bundle-{uuid4().hex}"

    def _build(self, version: int, **changes: Any) -> Path:
        weights = self.members(version)
        ensemble = Ensemble(SPEC, weights)
        known = [ensemble.infer(image(1000 + index)) for index in range(30)]
        content: dict[str, Any] = {
            "name": "atoms",
            "version": version,
            "material": "mos2",
            "classes": ("metal", "chalcogen"),
            "network": SPEC,
            "preprocessing": Preprocessing(),
            "decoding": Decoding(threshold=0.01),
            "members": weights,
            "drift_reference": DriftReference.fit(
                [inference.features for inference in known], [inference.mean_entropy for inference in known]
            ),
            "golden_frames": (image(1), image(2)),
            "metrics": {"f1": 0.9},
            "lineage": Lineage(
                datasets=("twin.s1",),
                code_version="0.1.0",
                trigger_id=f"trigger-{version}",
                policy="drift",
                run_id=f"run-{version}",
            ),
        }
        options = {key: changes.pop(key) for key in ("valid_for",) if key in changes}
        folder = self._new_folder()
        signer = changes.pop("signer", self.signer)
        build_and_sign_bundle(folder, BundleContent(**{**content, **changes}), signer, **options)
        return folder

    def resign(self, folder: Path, change: Callable[[dict[str, Any]], None] = lambda manifest: None) -> None:
        """Sign again what lies in the folder now: an insider's mistake, not an outsider's attack."""
        path = folder / BUNDLE_ENVELOPE
        manifest = json.loads(base64.b64decode(json.loads(path.read_text())["payload"]))
        manifest["files"] = [
            {"path": file.name, "length_bytes": file.stat().st_size, "sha256": sha256_file(file)}
            for file in sorted(folder.iterdir())
            if file != path
        ]
        change(manifest)
        envelope = Envelope(json.dumps(manifest).encode(), BUNDLE_PAYLOAD_TYPE, {})
        envelope.sign(self.signer)
        path.write_text(json.dumps(envelope.to_dict()))
