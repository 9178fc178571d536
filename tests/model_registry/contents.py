"""The smallest content a bundle can have."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from eucentric_core import Lineage
from eucentric_model_registry import BundleContent
from eucentric_models import Decoding, DriftReference, NetworkSpec, Preprocessing
from eucentric_models.networks import Ensemble, build_network, weights_to_bytes

SPEC = NetworkSpec(n_classes=2, base_filters=4, depth=1)


def make_image(seed: int) -> np.ndarray:
    """A frame of noise, (48, 40) uint16."""
    return np.random.default_rng(seed).poisson(20.0, (48, 40)).astype(np.uint16)


def make_content(*, trigger_id: str = "trigger-1", **changes: Any) -> BundleContent:
    """Two random members with a drift reference and a golden chip that fit them."""
    weights = tuple(
        weights_to_bytes(build_network(SPEC, torch.Generator().manual_seed(seed))) for seed in (1, 2)
    )
    ensemble = Ensemble(SPEC, weights)
    known = [ensemble.infer(make_image(seed)) for seed in range(12)]
    content: dict[str, Any] = {
        "name": "atoms",
        "version": 1,
        "material": "mos2",
        "classes": ("metal", "chalcogen"),
        "network": SPEC,
        "preprocessing": Preprocessing(),
        "decoding": Decoding(),
        "members": weights,
        "drift_reference": DriftReference.fit(
            [inference.features for inference in known], [inference.mean_entropy for inference in known]
        ),
        "golden_frames": (make_image(99),),
        "metrics": {"f1": 0.91, "calibration_error": 0.05},
        "lineage": Lineage(
            datasets=("twin.s1", "twin.s2"),
            code_version="0.1.0",
            trigger_id=trigger_id,
            policy="drift",
            run_id="flow-run-7",
            trained_from="atoms v0",
        ),
    }
    return BundleContent(**{**content, **changes})
