"""From a verified bundle to a model that can serve: in this process, or in one of its own (`apart`)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from eucentric_core import BundleError, BundleManifest, EucentricError

from ._backend_choice import BackendChoice
from ._beside_frames import beside_frames
from ._model_loader import load_serving_model
from ._serving_model import ServingModel

__all__ = ["HereOpener", "ModelOpener"]


class ModelOpener(Protocol):
    """Makes a model ready beside the frames in service."""

    def open(
        self,
        folder: Path,
        manifest: BundleManifest,
        *,
        frame_shape: tuple[int, ...] | None = None,
        pixel_size_m: float | None = None,
    ) -> ServingModel:
        """Build a model aside, check its files against its engine, put it to the test, and warm it up.

        Args:
            folder: a bundle that a `BundleTrust` has accepted.
            manifest: what it returned.
            frame_shape: `(ny, nx)` of the frames at present, to warm up with; None for no warm-up.
            pixel_size_m: of these frames.

        Raises:
            BundleError: the model failed; the error says why. The model in service keeps serving.
        """


class HereOpener:
    """Opens models in this process; see `ModelOpener`.

    Args:
        device: torch device to build on.
        choice: which back end serves; None for the reference.
    """

    def __init__(self, device: str, choice: BackendChoice | None = None) -> None:
        self._device = device
        self._choice = choice

    def open(
        self,
        folder: Path,
        manifest: BundleManifest,
        *,
        frame_shape: tuple[int, ...] | None = None,
        pixel_size_m: float | None = None,
    ) -> ServingModel:
        """See :class:`ModelOpener`. Where frames are computed by one thread, in a thread of low priority."""

        def prepare() -> ServingModel:
            model = load_serving_model(folder, manifest, device=self._device, choice=self._choice)
            if frame_shape is not None:
                _warm_up(model, frame_shape, pixel_size_m)
            return model

        return beside_frames(prepare, threads=1 if self._choice is None else self._choice.threads)


def _warm_up(model: ServingModel, frame_shape: tuple[int, ...], pixel_size_m: float | None) -> None:
    try:
        model.warm_up(frame_shape, pixel_size_m=pixel_size_m)
    except EucentricError as error:
        raise BundleError(
            f"The model cannot analyse frames of {frame_shape} pixels: {error.what}",
            safe="the model in service keeps serving.",
            next_step="publish a model that can.",
        ) from error
