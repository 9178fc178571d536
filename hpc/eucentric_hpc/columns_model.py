"""Makes the model `columns` that comes with the package: atomic columns of any crystal, at any magnification.

    python -m eucentric_hpc.columns_model --work-dir scratch/columns --output scratch/columns/model

All frames are simulated (material ``columns``); no recorded image was looked at. The same versions of numpy
and torch give the same weights for the same seed, and a killed run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from eucentric_core import GoldenChip, write_atomic
from eucentric_models import (
    Decoding,
    DriftReference,
    NetworkSpec,
    Preprocessing,
    conditions_for,
    start_material_named,
    vary_conditions,
)
from eucentric_models.engines import BundleDraft, ModelDescription, write_model_folder
from eucentric_models.networks import Ensemble, load_weights, weights_to_bytes

from ._augmentation import Augmentation
from ._elit import train_ensemble
from ._elit_models import EnsembleRequest, EnsembleResult
from ._member_config import MemberConfig
from ._training_set import TrainingSet, read_training_set, write_training_set

WORKING_PIXEL_SIZE_M = 18e-12
"""A probe of 55 pm is three pixels wide, and neighbours 130 pm apart are seven pixels apart."""
NATIVE_PIXEL_SIZES_M = (5e-12, 36e-12)
FIELD_M = 4.6e-9
SEED = 20261126
MODULE = "eucentric_hpc.columns_model"
MATERIAL = "columns"
NETWORK = NetworkSpec(n_classes=1, base_filters=24, depth=2, stem_factor=4)
PREPROCESSING = Preprocessing(working_pixel_size_m=WORKING_PIXEL_SIZE_M)
DECODING = Decoding(peak_sigma_px=2.0, threshold=0.5, min_distance_px=4)
RECIPE = MemberConfig(
    steps=1000,
    batch_size=8,
    crop_px=96,
    learning_rate=6e-3,
    target_sigma_px=DECODING.peak_sigma_px,
    augmentation=Augmentation(
        zoom=0.2, shear=0.04, wobble_px=1.0, row_jitter_px=0.4, background=1.0, contrast=0.2, noise=0.05
    ),
)
_GOLDEN_SIDE_PX = 64
_GOLDEN_ERROR = 0.02

_log = logging.getLogger(__name__)


def columns_training_set(count: int, rng: np.random.Generator) -> TrainingSet:
    """Frames of about 4.6 nm of any crystal, pixel sizes from 5 to 36 pm, resampled to the working size."""
    material = start_material_named(MATERIAL)
    frames, truths, sizes = [], [], []
    for _ in range(count):
        pixel_size_m = float(np.exp(rng.uniform(*np.log(NATIVE_PIXEL_SIZES_M))))
        start = conditions_for(pixel_size_m)
        conditions = vary_conditions(start.initial, start.start_spread, rng)
        side_px = round(FIELD_M / conditions.pixel_size_m)
        simulated = material.simulate(conditions, (side_px, side_px), rng)
        frames.append(simulated.frame)
        truths.append(simulated.truth)
        sizes.append(conditions.pixel_size_m)
    return TrainingSet(tuple(frames), tuple(truths), tuple(sizes)).at_working_size(PREPROCESSING)


def make_columns_model(
    work_dir: Path, output: Path, *, frames: int = 320, steps: int = RECIPE.steps, members: int = 2
) -> ModelDescription:
    """Train and write the model folder.

    Args:
        work_dir: for data and checkpoints; the same folder and arguments resume.
        output: model folder; must not exist yet.
        frames: simulated frames to train on and to hold out from.
        steps: of each member.
        members: networks of the ensemble.

    Raises:
        TrainingError: the training failed.
        EngineError: the folder exists.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    data = work_dir / "start.npz"
    if not data.exists():
        write_training_set(data, columns_training_set(frames, np.random.default_rng(SEED)))
    request = EnsembleRequest(
        work_dir=work_dir,
        network=NETWORK,
        member=RECIPE.model_copy(update={"steps": steps}),
        members=members,
        classes=start_material_named(MATERIAL).detectable_classes,
        start_data=data,
        validation_fraction=0.15,
        smallest_ensemble=1,
        preprocessing=PREPROCESSING,
        decoding=DECODING,
        seed=SEED,
        timeout_s=86400,
    )
    with ThreadPoolExecutor(1) as executor:
        result = train_ensemble(executor, request, progress=lambda *step: _log.info("%s %d/%d", *step))
    draft = _draft(result, request, frames)
    return write_model_folder(output, draft, name=MATERIAL, version=1)


def _draft(result: EnsembleResult, request: EnsembleRequest, frames: int) -> BundleDraft:
    folder = request.work_dir
    files = {}
    for index, path in enumerate(result.weights):
        half = folder / f"half-{index}.safetensors"
        write_atomic(half, weights_to_bytes(load_weights(request.network, path.read_bytes()), half=True))
        files[f"member-{index}.safetensors"] = half
    members = tuple(files)
    ensemble = Ensemble(
        request.network, [files[name].read_bytes() for name in members], preprocessing=request.preprocessing
    )
    chip = read_training_set(result.data.validation).frames[0][:_GOLDEN_SIDE_PX, :_GOLDEN_SIDE_PX]
    chip = np.ascontiguousarray(chip, np.float32)
    files |= {"golden-frame.npy": folder / "golden-frame.npy", "golden-maps.npy": folder / "golden-maps.npy"}
    np.save(files["golden-frame.npy"], chip, allow_pickle=False)
    np.save(files["golden-maps.npy"], ensemble.infer(chip).maps.astype(np.float16), allow_pickle=False)
    files["drift-reference.json"] = folder / "drift-reference.json"
    write_atomic(files["drift-reference.json"], _rounded(result.drift_reference).to_json().encode())
    made_by = {
        "module": MODULE,
        "seed": SEED,
        "frames": frames,
        "members": request.members,
        "recipe": request.member.model_dump(mode="json"),
        "working_pixel_size_m": WORKING_PIXEL_SIZE_M,
        "native_pixel_sizes_m": list(NATIVE_PIXEL_SIZES_M),
        "weights_sha256": {name: hashlib.sha256(files[name].read_bytes()).hexdigest() for name in members},
    }
    return BundleDraft(
        engine="atoms",
        classes=request.classes,
        parameters={"made_by": made_by},
        network=request.network.model_dump(mode="json"),
        preprocessing=request.preprocessing.model_dump(mode="json"),
        decoding=result.decoding.model_dump(mode="json"),
        files=files,
        members=members,
        drift_reference="drift-reference.json",
        golden=(
            GoldenChip(frame="golden-frame.npy", expected="golden-maps.npy", max_abs_error=_GOLDEN_ERROR),
        ),
        metrics=result.metrics,
        report=(
            f"Trained on {result.data.train_frames} SIMULATED frames of crystals of any kind, "
            f"judged on {result.data.validation_frames} others: F1 {result.metrics['f1']:.3f}, "
            f"calibration error {result.metrics['calibration_error']:.3f}.",
            f"Images are resampled to {WORKING_PIXEL_SIZE_M * 1e12:g} pm, so their pixel size must be known.",
        ),
    )


def _rounded(reference: DriftReference) -> DriftReference:
    """Six digits of every number: most of the file would be noise."""

    def short(value: JsonValue) -> JsonValue:
        if isinstance(value, list):
            return [short(item) for item in value]
        return float(f"{value:.6g}") if isinstance(value, float) else value

    fields: dict[str, JsonValue] = json.loads(reference.to_json())
    return DriftReference.model_validate({name: short(value) for name, value in fields.items()})


def main() -> None:
    """Make the model from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=320)
    parser.add_argument("--steps", type=int, default=RECIPE.steps)
    parser.add_argument("--members", type=int, default=2)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    made = make_columns_model(
        chosen.work_dir, chosen.output, frames=chosen.frames, steps=chosen.steps, members=chosen.members
    )
    _log.info("%s", json.dumps(made.metrics))


if __name__ == "__main__":
    main()
