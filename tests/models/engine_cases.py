"""For every engine: the smallest model that it opens, and an input for it.

An engine that is installed and has no case here fails `test_engines.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from eucentric_core import GoldenChip
from eucentric_hpc.recipes import parameters_of, recipe_named
from eucentric_models import DEFAULT_PREPROCESSING, Decoding, DriftReference, NetworkSpec
from eucentric_models.engines import BundleDraft
from eucentric_models.networks import Ensemble, build_network, weights_to_bytes
from eucentric_models.surrogate import simulate_landscape

from ..hpc.recipe_cases import CASES as RECIPE_CASES
from .fewshot.scenes import FILM, LATTICE, chips_draft, scene
from .spot_graph import segmentation_draft, spots

SPEC = NetworkSpec(n_classes=2, base_filters=4, depth=1)
DECODING = Decoding(threshold=0.01)


@dataclass(frozen=True)
class EngineCase:
    """How an engine is tried.

    Attributes:
        draft: makes a model in a folder.
        image: something to apply it to.
        unfit: inputs that it must refuse, by what is wrong with them.
    """

    draft: Callable[[Path], BundleDraft]
    image: Callable[[], NDArray[np.generic]]
    unfit: dict[str, NDArray[np.generic]]


def noise(seed: int, shape: tuple[int, int] = (48, 40)) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).poisson(20.0, shape).astype(np.uint16)


def atoms_draft(folder: Path) -> BundleDraft:
    """Two members with random weights, larger than at the start of a training so that something is found."""
    blobs = []
    for seed in (1, 2):
        network = build_network(SPEC, torch.Generator().manual_seed(seed))
        with torch.no_grad():
            network.head.weight.mul_(5)
        blobs.append(weights_to_bytes(network))
    ensemble = Ensemble(SPEC, blobs)
    known = [ensemble.infer(noise(100 + index)) for index in range(20)]
    reference = DriftReference.fit([one.features for one in known], [one.mean_entropy for one in known])
    files = {name: folder / name for name in ("member-0.safetensors", "member-1.safetensors")}
    for path, blob in zip(files.values(), blobs, strict=True):
        path.write_bytes(blob)
    files |= {name: folder / name for name in ("drift-reference.json", "in.npy", "out.npy")}
    files["drift-reference.json"].write_text(reference.to_json())
    np.save(files["in.npy"], noise(1), allow_pickle=False)
    np.save(files["out.npy"], ensemble.infer(noise(1)).maps, allow_pickle=False)
    return BundleDraft(
        engine="atoms",
        classes=("metal", "chalcogen"),
        network=SPEC.model_dump(mode="json"),
        preprocessing=DEFAULT_PREPROCESSING.model_dump(mode="json"),
        decoding=DECODING.model_dump(mode="json"),
        files=files,
        members=("member-0.safetensors", "member-1.safetensors"),
        drift_reference="drift-reference.json",
        golden=(GoldenChip(frame="in.npy", expected="out.npy", max_abs_error=0.01),),
        metrics={"f1": 0.5},
        report=("Random weights.",),
    )


def _drafted(recipe: str) -> Callable[[Path], BundleDraft]:
    """A draft by the smallest training of a recipe."""

    def draft(folder: Path) -> BundleDraft:
        known, case = recipe_named(recipe), RECIPE_CASES[recipe]
        with ThreadPoolExecutor(1) as executor:
            parameters = parameters_of(known, case.parameters)
            return known.train(executor, case.data(folder), parameters, folder / "work")

    return draft


_WITH_NAN = noise(5).astype(np.float32)
_WITH_NAN[3, 4] = np.nan

_UNFIT_IMAGES: dict[str, NDArray[np.generic]] = {
    "NaN": _WITH_NAN,
    "one dimension": np.zeros(100),
    "no pixels": np.zeros((0, 40)),
    "complex": np.zeros((48, 40), complex),
}

CASES: dict[str, EngineCase] = {
    "atoms": EngineCase(
        draft=atoms_draft, image=lambda: noise(7), unfit={**_UNFIT_IMAGES, "too small": np.zeros((2, 2))}
    ),
    "chips": EngineCase(
        draft=chips_draft,
        image=lambda: scene((LATTICE, FILM), rows=2, columns=2).image,
        unfit={**_UNFIT_IMAGES, "too small": noise(1, (20, 20)), "constant": np.full((128, 128), 3)},
    ),
    "segmentation": EngineCase(draft=segmentation_draft, image=lambda: spots(7), unfit=_UNFIT_IMAGES),
    "spectra": EngineCase(
        draft=_drafted("forecast"),
        image=lambda: np.random.default_rng(7).poisson(500.0, (12, 60)).astype(np.float32),
        unfit={
            "NaN": np.full((12, 60), np.nan),
            "one dimension": np.zeros(60),
            "other channels": np.ones((12, 61)),
            "too short": np.ones((3, 60)),
            "complex": np.ones((12, 60), complex),
        },
    ),
    "surrogate": EngineCase(
        draft=_drafted("surrogate"),
        image=lambda: simulate_landscape((40, 44), np.random.default_rng(8), discs=6).image,
        unfit={**_UNFIT_IMAGES, "smaller than a patch": np.ones((5, 40))},
    ),
}
