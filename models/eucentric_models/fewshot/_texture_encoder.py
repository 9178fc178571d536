"""The encoder that is shipped: a small network trained on simulated textures."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ._preparation import prepare
from ._texture_weights import SHIPPED_FOLDER, WEIGHTS_FILE, read_blob, read_weights, version_of

_BATCH = 32
"""Chips at a time: activations of more do not stay in the caches of a core."""


class TextureEncoder:
    """Embeds chips by the texture network; see :class:`ChipEncoder`.

    Args:
        folder: with the weights; the shipped ones if left out.
        device: torch device.

    Raises:
        EncoderError: the weights are missing, damaged or not those of the card beside them.
    """

    def __init__(self, folder: Path = SHIPPED_FOLDER, *, device: str = "cpu") -> None:
        self._blob = read_blob(folder)
        self._network = read_weights(self._blob).to(device)
        self._device = torch.device(device)
        self.version = version_of(hashlib.sha256(self._blob).hexdigest())
        self.dimension = self._network.spec.embedding_size

    def embed(self, chips: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`ChipEncoder`."""
        embedded = np.empty((len(chips), self.dimension), np.float32)
        with torch.inference_mode():
            for first in range(0, len(chips), _BATCH):
                prepared = prepare(chips[first : first + _BATCH], self._network.spec.chip_px)
                batch = torch.from_numpy(prepared).to(self._device, memory_format=torch.channels_last)
                vectors = functional.normalize(self._network(batch), dim=1)
                embedded[first : first + _BATCH] = vectors.cpu().numpy()
        return embedded

    def files(self) -> dict[str, bytes]:
        """See :class:`ChipEncoder`."""
        return {WEIGHTS_FILE: self._blob}
