"""From the files of a verified bundle to a model that has shown that it works. Nothing is unpickled."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric_core import BundleError, BundleManifest
from eucentric_models import ModelsError
from eucentric_models.backends import REFERENCE
from eucentric_models.engines import (
    EngineError,
    EngineModel,
    ModelDescription,
    PortableModel,
    engine_named,
    read_plain_array,
)

from ._backend_choice import BackendChoice
from ._serving_model import ServingModel

__all__ = ["load_serving_model", "require_golden_answers"]

_KINDS = (".safetensors", ".json", ".onnx")

_log = logging.getLogger(__name__)


def load_serving_model(
    folder: Path, manifest: BundleManifest, *, device: str, choice: BackendChoice | None = None
) -> ServingModel:
    """Build a model aside, check its files against its engine, and put it to the test.

    The model is tested as it serves: on its back end, where its engine can use one. A back end that fails
    does not cost the model its place: it is tested on the reference, which serves instead.

    Args:
        folder: a bundle that a `BundleTrust` has accepted.
        manifest: what it returned.
        device: torch device.
        choice: which back end serves; None for what serves where nothing was tuned.

    Raises:
        BundleError: weights that do not fit or are not finite, files of another kind, or an answer to
            a golden chip that is not the expected one.
    """
    _require_known_kinds(manifest)
    try:
        engine = engine_named(manifest.engine)
        model = engine.open(folder, ModelDescription.of_manifest(manifest), device=device)
        if not isinstance(model, PortableModel):
            require_golden_answers(folder, model)
            return ServingModel(manifest, model, takes=engine.takes)
    except ModelsError as error:
        raise _refuse(error.what) from error
    except (OSError, RuntimeError, MemoryError) as error:
        raise _refuse(f"The model cannot run on {device}: {error}.") from error
    chosen = choice or BackendChoice()
    reference = model.reference
    untuned = "cuda" if device.startswith("cuda") and reference == REFERENCE else reference
    for name in dict.fromkeys((chosen.for_manifest(manifest, untuned=untuned), reference)):
        try:
            served = model.on_backend(name, threads=chosen.threads, batch=chosen.batch)
            require_golden_answers(folder, served)
        except (ModelsError, BundleError) as error:
            if name == reference:
                raise _refuse(error.what) from error
            _log.error("back end %s is not used for version %d: %s", name, manifest.version, error)
        else:
            return ServingModel(manifest, served, takes=engine.takes, backend=name)
    raise _refuse("No back end answers the golden chips.")


def require_golden_answers(folder: Path, model: EngineModel) -> float:
    """The largest difference from what was signed, over all golden chips.

    Raises:
        BundleError: it is larger than allowed, or a chip is none.
        ModelsError: a chip does not fit the model.
    """
    largest = 0.0
    for chip in model.description.golden:
        frame, expected = _plain(folder / chip.frame), _plain(folder / chip.expected)
        answer = model.answer(frame)
        if answer.shape != expected.shape:
            raise _refuse(f"{chip.expected} does not belong to {chip.frame}.")
        difference = float(np.abs(answer - expected).max())
        # Written so that NaN fails as well.
        if not difference <= chip.max_abs_error:
            raise _refuse(
                f"On {chip.frame} the model answers {difference:.3g} away from what was signed; "
                f"{chip.max_abs_error:.3g} is allowed."
            )
        largest = max(largest, difference)
    return largest


def _require_known_kinds(manifest: BundleManifest) -> None:
    chips = {name for chip in manifest.golden for name in (chip.frame, chip.expected)}
    used = {*manifest.members, manifest.drift_reference, *chips}
    if unread := sorted({file.path for file in manifest.files} - used):
        raise _refuse(f"The bundle holds files that no part of the model uses: {unread}.")
    wrong = {name for name in manifest.members if not name.endswith(_KINDS)}
    wrong |= {name for name in chips if not name.endswith(".npy")}
    if not manifest.drift_reference.endswith(".json"):
        wrong.add(manifest.drift_reference)
    if wrong:
        raise _refuse(f"The bundle holds files of a kind that is never opened: {sorted(wrong)}.")


def _plain(path: Path) -> NDArray[np.number]:
    try:
        return read_plain_array(path)
    except EngineError as error:
        raise _refuse(error.what) from error


def _refuse(what: str) -> BundleError:
    return BundleError(
        what,
        safe="the model in service keeps serving.",
        next_step="see how this version was built; publish a corrected one under the next version.",
    )
