"""A model in a process of its own, as the edge uses it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric_models.engines import LiveAnswer, ModelDescription

from ._messages import Opened, SupportRequest
from ._model_process import ModelProcess

__all__ = ["ApartModel", "SupportedApartModel", "apart_model"]


class ApartModel:
    """One head of a model elsewhere; see `LiveModel`.

    Args:
        process: that holds it; it ends when the last head is dropped.
        opened: what it said of the head.
    """

    def __init__(self, process: ModelProcess, opened: Opened) -> None:
        self._process = process
        self._opened = opened

    def __del__(self) -> None:
        self._process.forget(self._opened.head)

    @property
    def description(self) -> ModelDescription:
        """What was opened."""
        return self._opened.description

    def live(
        self, images: Sequence[NDArray[np.generic]], *, pixel_sizes_m: Sequence[float | None]
    ) -> list[LiveAnswer]:
        """One answer for each image.

        Raises:
            EucentricError: one of them cannot be analysed, and none was.
            ModelLostError: the process has ended.
        """
        return self._process.live(self._opened.head, images, pixel_sizes_m=pixel_sizes_m)

    def close(self) -> None:
        """End the process, and with it all heads."""
        self._process.close()


class SupportedApartModel(ApartModel):
    """One whose classes can be given anew; see `SupportedModel`."""

    def with_support(self, path: Path) -> ApartModel:
        """The same network with other classes.

        Raises:
            EucentricError: the support set cannot be used, or the process has ended.
        """
        request = SupportRequest(head=self._opened.head, path=path.absolute())
        return apart_model(self._process, self._process.ask_aside(request))


def apart_model(process: ModelProcess, opened: Opened) -> ApartModel:
    """The head that a process has opened."""
    return SupportedApartModel(process, opened) if opened.supported else ApartModel(process, opened)
