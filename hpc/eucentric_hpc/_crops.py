"""Random augmented crops: the mini-batches of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eucentric_models import heat_maps

from ._member_config import Augmentation, MemberConfig

_IGNORED = 0.05


class CropSampler:
    """Draws mini-batches from normalised frames.

    Args:
        images: normalised (ny, nx) float32 frames.
        truths: (n, 3) rows ``y_px, x_px, class_id``; class ids of ``n_classes`` and above are masked out.
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
        self._truths = [np.asarray(truth, np.float64).reshape(-1, 3) for truth in truths]
        self._n_classes = n_classes
        self._config = config
        self.rng = rng

    def batch(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Images (b, 1, c, c), targets (b, n_classes, c, c) and loss mask (b, 1, c, c), float32."""
        config, rng = self._config, self.rng
        crops = []
        for index in rng.integers(len(self._images), size=config.batch_size):
            crops.append(self._crop(self._images[index], self._truths[index]))
        images, targets, masks = (np.stack(parts) for parts in zip(*crops, strict=True))
        return images, targets, masks

    def _crop(
        self, image: NDArray[np.float32], truth: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        side, augmentation, rng = self._config.crop_px, self._config.augmentation, self.rng
        largest = np.log1p(augmentation.zoom)
        # The crop never leaves the frame, which bounds how far a small frame can be zoomed out.
        scale = max(float(np.exp(rng.uniform(-largest, largest))), (side - 1) / (min(image.shape) - 1))
        span = (side - 1) / scale
        top = rng.uniform(0, image.shape[0] - 1 - span)
        left = rng.uniform(0, image.shape[1] - 1 - span)
        if augmentation.zoom == 0:
            top, left = round(top), round(left)
        crop = _resample(image, top, left, side, scale)
        rows = np.column_stack([(truth[:, 0] - top) * scale, (truth[:, 1] - left) * scale, truth[:, 2]])
        near = np.all((rows[:, :2] > -side / 4) & (rows[:, :2] < side * 5 / 4), axis=1)
        rows = rows[near]
        if augmentation.symmetry:
            crop, rows = _random_symmetry(crop, rows, rng)
        crop = _vary_contrast(crop, augmentation, rng)
        sigma = self._config.target_sigma_px
        targets = heat_maps(rows, (side, side), self._n_classes, sigma_px=sigma)
        ignored = rows[rows[:, 2] >= self._n_classes] * np.array([1, 1, 0])
        mask = heat_maps(ignored, (side, side), 1, sigma_px=sigma) < _IGNORED
        return crop[None], targets, mask.astype(np.float32)


def _resample(
    image: NDArray[np.float32], top: float, left: float, side: int, scale: float
) -> NDArray[np.float32]:
    y0, ty = _bilinear(top + np.arange(side) / scale, image.shape[0])
    x0, tx = _bilinear(left + np.arange(side) / scale, image.shape[1])
    upper, lower = image[y0], image[y0 + 1]
    rows = upper + ty[:, None] * (lower - upper)
    result = rows[:, x0] + tx * (rows[:, x0 + 1] - rows[:, x0])
    return np.asarray(result, np.float32)


def _bilinear(position: NDArray[np.float64], length: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    base = np.clip(np.floor(position).astype(np.intp), 0, length - 2)
    return base, (position - base).astype(np.float32)


def _random_symmetry(
    image: NDArray[np.float32], rows: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    last = image.shape[0] - 1
    transpose, flip_y, flip_x = rng.integers(2, size=3)
    if transpose:
        image, rows = image.T, rows[:, [1, 0, 2]]
    if flip_y:
        image, rows = image[::-1], rows * [-1, 1, 1] + [last, 0, 0]
    if flip_x:
        image, rows = image[:, ::-1], rows * [1, -1, 1] + [0, last, 0]
    return np.ascontiguousarray(image), rows


def _vary_contrast(
    image: NDArray[np.float32], augmentation: Augmentation, rng: np.random.Generator
) -> NDArray[np.float32]:
    if augmentation.contrast:
        gain, offset = rng.uniform(-augmentation.contrast, augmentation.contrast, size=2)
        image = image * np.float32(1 + gain) + np.float32(offset / 2)
    if augmentation.noise:
        level = np.float32(rng.uniform(0, augmentation.noise))
        image = image + level * rng.standard_normal(image.shape, np.float32)
    return image
