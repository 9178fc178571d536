"""Random augmented crops: the mini-batches of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eucentric_models import heat_maps

from ._augmentation import View, degrade, random_symmetry
from ._member_config import MemberConfig

_IGNORED = 0.05
_AROUND = 1.5  # a column that was missed is also learned by what surrounds its peak


class CropSampler:
    """Draws mini-batches from normalised frames.

    Args:
        images: normalised (ny, nx) float32 frames.
        truths: (n, 3) rows ``y_px, x_px, class_id``; class ids of ``n_classes`` and above are masked out. A
            fourth column weighs the surroundings of the place in the loss; 1 where there is none.
        n_classes: detectable classes.
        config: crop size, batch size, augmentation.
        rng: source of all choices; its state is all there is to save for a resume.
    """

    def __init__(
        self,
        images: Sequence[NDArray[np.float32]],
        truths: Sequence[NDArray[np.floating]],
        n_classes: int,
        config: MemberConfig,
        rng: np.random.Generator,
    ) -> None:
        self._images = images
        self._truths = [np.asarray(truth, np.float64)[:, :3] for truth in truths]
        self._weights = [np.asarray(truth, np.float64)[:, 3:].sum(axis=1) for truth in truths]
        self._n_classes = n_classes
        self._config = config
        self.rng = rng

    def batch(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Images (b, 1, c, c), targets (b, n_classes, c, c) and loss weights (b, 1, c, c), float32."""
        config, rng = self._config, self.rng
        crops = []
        for index in rng.integers(len(self._images), size=config.batch_size):
            crops.append(self._crop(self._images[index], self._truths[index], self._weights[index]))
        images, targets, masks = (np.stack(parts) for parts in zip(*crops, strict=True))
        return images, targets, masks

    def _crop(
        self, image: NDArray[np.float32], truth: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        side, augmentation, rng = self._config.crop_px, self._config.augmentation, self.rng
        view = View.draw(image.shape, side, augmentation, rng)
        crop, rows = view.of(image), view.rows(truth)
        near = np.all((rows[:, :2] > -side / 4) & (rows[:, :2] < side * 5 / 4), axis=1)
        rows, weights = rows[near], weights[near]
        if augmentation.symmetry:
            crop, rows = random_symmetry(crop, rows, rng)
        crop = degrade(crop, augmentation, rng)
        sigma = self._config.target_sigma_px
        targets = heat_maps(rows, (side, side), self._n_classes, sigma_px=sigma)
        ignored = rows[rows[:, 2] >= self._n_classes] * np.array([1, 1, 0])
        mask = (heat_maps(ignored, (side, side), 1, sigma_px=sigma) < _IGNORED).astype(np.float32)
        for weight in np.unique(weights[weights > 1]):
            places = rows[weights == weight] * np.array([1, 1, 0])
            mask *= 1 + np.float32(weight - 1) * heat_maps(places, (side, side), 1, sigma_px=_AROUND * sigma)
        return crop[None], targets, mask
