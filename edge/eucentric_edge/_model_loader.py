"""From the files of a verified bundle to a model that has shown that it works. Nothing is unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, JsonValue, ValidationError

from eucentric_core import DEFAULT_ENGINE, BundleError, BundleManifest
from eucentric_models import Decoding, DriftReference, ModelsError, NetworkSpec, Preprocessing, read_npy

from ._serving_model import ServingModel

if TYPE_CHECKING:
    from eucentric_models.networks import Ensemble

__all__ = ["load_serving_model"]

_Part = TypeVar("_Part", bound=BaseModel)


def load_serving_model(folder: Path, manifest: BundleManifest, *, device: str) -> ServingModel:
    """Build a model aside, check its weights against its architecture, and put it to the test.

    Args:
        folder: a bundle that `verify_bundle` has accepted.
        manifest: what it returned.
        device: torch device.

    Raises:
        BundleError: weights that do not fit or are not finite, files of another kind, or an answer to
            a golden chip that is not the expected one.
    """
    # Here, because `eucentric edge status` should not wait for torch.
    from eucentric_models.networks import Ensemble

    if manifest.engine != DEFAULT_ENGINE:
        raise _refuse(f"The model is for the engine {manifest.engine!r}; an edge serves {DEFAULT_ENGINE!r}.")
    _require_known_kinds(manifest)
    spec = _part(NetworkSpec, manifest.network, "network")
    if spec.n_classes != len(manifest.classes):
        raise _refuse(f"{len(manifest.classes)} classes are named for {spec.n_classes} heat maps.")
    try:
        ensemble = Ensemble(
            spec,
            [(folder / member).read_bytes() for member in manifest.members],
            preprocessing=_part(Preprocessing, manifest.preprocessing, "preprocessing"),
            device=device,
        )
        drift_reference = DriftReference.from_json((folder / manifest.drift_reference).read_bytes())
        _require_golden_answers(folder, manifest, ensemble, drift_reference)
    except ModelsError as error:
        raise _refuse(error.what) from error
    except (RuntimeError, MemoryError) as error:
        raise _refuse(f"The model cannot run on {device}: {error}.") from error
    return ServingModel(manifest, ensemble, _part(Decoding, manifest.decoding, "decoding"), drift_reference)


def _require_known_kinds(manifest: BundleManifest) -> None:
    kinds = dict.fromkeys(manifest.members, ".safetensors") | {manifest.drift_reference: ".json"}
    for chip in manifest.golden:
        kinds |= {chip.frame: ".npy", chip.expected: ".npy"}
    if unread := sorted({file.path for file in manifest.files} - set(kinds)):
        raise _refuse(f"The bundle holds files that no part of the model uses: {unread}.")
    if wrong := sorted(name for name, suffix in kinds.items() if not name.endswith(suffix)):
        raise _refuse(f"The bundle holds files of a kind that is never opened: {wrong}.")


def _part(kind: type[_Part], values: dict[str, JsonValue], name: str) -> _Part:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _refuse(f"The {name} of the manifest is not usable: {error}.") from error


def _require_golden_answers(
    folder: Path, manifest: BundleManifest, ensemble: Ensemble, drift_reference: DriftReference
) -> None:
    for chip in manifest.golden:
        frame, expected = _read_npy(folder / chip.frame), _read_npy(folder / chip.expected)
        if frame.ndim != 2 or expected.shape != (len(manifest.classes), *frame.shape):
            raise _refuse(f"{chip.expected} does not belong to {chip.frame}.")
        if min(frame.shape) < ensemble.spec.size_multiple:
            raise _refuse(f"{chip.frame} is smaller than the network can take.")
        inference = ensemble.infer(frame)
        drift_reference.score(inference.features)
        difference = float(np.abs(inference.maps - expected).max())
        # Written so that NaN fails as well.
        if not difference <= chip.max_abs_error:
            raise _refuse(
                f"On {chip.frame} the model answers {difference:.3g} away from what was signed; "
                f"{chip.max_abs_error:.3g} is allowed."
            )


def _read_npy(path: Path) -> NDArray[np.number]:
    try:
        return read_npy(path)
    except ValueError as error:
        raise _refuse(f"{path.name} is not a plain array: {error}.") from error


def _refuse(what: str) -> BundleError:
    return BundleError(
        what,
        safe="the model in service keeps serving.",
        next_step="see how this version was built; publish a corrected one under the next version.",
    )
