"""The one reference to the model in service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ._serving_model import ServingModel

__all__ = ["ModelSlot"]


class ModelSlot:
    """The one reference to the model in service. It is replaced between two frames, never changed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._model: ServingModel | None = None
        self._lent: list[ServingModel] = []
        self.pixel_size_m: float | None = None
        """Of the frames at present: networks with a pixel size of their own are warmed up for it."""

    @property
    def model(self) -> ServingModel | None:
        """The model in service; take it once per frame."""
        with self._changed:
            return self._model

    @contextmanager
    def lent(self) -> Iterator[ServingModel | None]:
        """The model in service, for one frame or one batch; whoever replaces it can wait for its return."""
        with self._changed:
            model = self._model
            if model is not None:
                self._lent.append(model)
        try:
            yield model
        finally:
            if model is not None:
                with self._changed:
                    # By identity: models compare as their objects do.
                    self._lent.remove(model)
                    self._changed.notify_all()

    def replace(self, model: ServingModel | None) -> ServingModel | None:
        """Put another model in service, or none; a frame that is under way finishes with the old one.

        Returns:
            The old one. Whoever lets go of it last frees its memory, which takes as long as a frame: see
            `wait_returned`.
        """
        with self._changed:
            old, self._model = self._model, model
            return old

    def wait_returned(self, model: ServingModel, *, timeout_s: float) -> bool:
        """Wait until no frame is under way with a model; False after `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: model not in self._lent, timeout=timeout_s)
