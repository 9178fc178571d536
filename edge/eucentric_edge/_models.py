"""Where the models of an edge are opened: apart on a CPU, in the edge itself where a GPU computes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from eucentric_core import BundleManifest

from ._backend_choice import BackendChoice
from ._opener import HereOpener, ModelOpener
from ._serving_model import ServingModel
from .apart import Nursery

__all__ = ["Models"]


class Models:
    """Opens models where this machine computes them best; see `ModelOpener`.

    On a CPU each model has a process of its own (decision 0044). On a GPU it has none: a process would make a
    context on the device first, which takes a second and its memory; and frames need little of the CPU there.

    Call `start` first, and `close` at the end.

    Args:
        choice: which back end serves.
    """

    def __init__(self, choice: BackendChoice) -> None:
        self._choice = choice
        self._lock = threading.Lock()
        self._opener: ModelOpener | None = None
        self._nursery: Nursery | None = None
        self._device = "cpu"

    def start(self) -> None:
        """Begin to import what models need, in the background."""
        if hasattr(os, "fork"):
            self._nursery = Nursery(self._choice)

    @property
    def device(self) -> str:
        """`cpu` or `cuda`, as far as known."""
        return self._device

    def open(
        self,
        folder: Path,
        manifest: BundleManifest,
        *,
        frame_shape: tuple[int, ...] | None = None,
        pixel_size_m: float | None = None,
    ) -> ServingModel:
        """See `ModelOpener`."""
        with self._lock:
            opener = self._opener = self._opener or self._chosen()
        return opener.open(folder, manifest, frame_shape=frame_shape, pixel_size_m=pixel_size_m)

    def close(self) -> None:
        """End the processes of all models."""
        if self._nursery is not None:
            self._nursery.close()

    def _chosen(self) -> ModelOpener:
        nursery = self._nursery
        if nursery is not None and nursery.device() == "cpu":
            return nursery
        import torch

        self.close()
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.set_num_threads(self._choice.threads)
        return HereOpener(self._device, self._choice)
