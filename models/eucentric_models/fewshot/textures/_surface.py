"""Films that fade into vacuum or into what covers them, with the truth. SIMULATED.

The surface of a film is rough through the thickness of the foil: towards it the structure becomes fainter,
under vacuum, carbon or metal that shows little structure of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._episode import Texture
from ._field import log_uniform
from ._imaging import TextureImaging
from ._other_fields import AmorphousField, FlatField
from ._specimen import Change, Specimen, across, changing, even_textures, smooth

_COVER_SHARE = (0.15, 0.5)
_FADE_CHIPS = (0.3, 5.0)
"""Width over which a film fades, in chips."""
_ROUGHNESS = (0.0, 0.01, 0.03)
_CLUSTERS = (0, 0, 4, 12)
_CRUST_SHARE = 0.5


def draw_surface(shape_px: tuple[int, int], films: int, chip_px: int, rng: np.random.Generator) -> Specimen:
    """Films side by side or one on the other under one cover, which is the last of the textures.

    Args:
        shape_px: of the image.
        films: how many structures there are beside the cover.
        chip_px: side of the chips that are to be cut.
        rng: the only source of chance.
    """
    angle_rad = float(rng.choice([0.0, 0.5, 1.0, 1.5])) * np.pi + float(rng.choice([0.0, rng.normal(0, 0.2)]))
    depth = across(shape_px, angle_rad) + 0.5 - float(rng.uniform(*_COVER_SHARE))
    depth += float(rng.choice(_ROUGHNESS)) * smooth(shape_px, 1 / 8, rng)
    # A logistic profile rises from a tenth to nine tenths within 4.4 times its scale.
    scale = log_uniform(rng, *_FADE_CHIPS) * chip_px / max(shape_px) / 4.4
    thickness = 1 / (1 + np.exp(-np.clip(depth / scale, -30, 30)))
    textures = (*even_textures(films, chip_px / 2, rng), _cover(rng))
    shares = np.concatenate([thickness * _films(shape_px, films, depth, rng), [1 - thickness]])
    signal = np.zeros(shape_px)
    for texture, share in zip(textures, shares, strict=True):
        signal += share * changing(texture, shape_px, Change.random(rng), rng)
    signal += shares[-1] * _clusters(shape_px, chip_px, depth, rng)
    return Specimen(
        TextureImaging.random(rng).expose(signal, rng), shares.argmax(axis=0).astype(np.int8), textures
    )


def _cover(rng: np.random.Generator) -> Texture:
    """Vacuum, carbon or a film of metal: little structure."""
    level = float(rng.uniform(0.02, 0.6))
    if rng.random() < 0.5:
        return Texture(FlatField(), level, 0.0)
    return Texture(AmorphousField.random(rng), level, level * float(rng.uniform(0.03, 0.25)))


def _films(
    shape_px: tuple[int, int], films: int, depth: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """(films, ny, nx) part of each film; sums to 1: layers at some depth, or neighbours."""
    if films == 1:
        return np.ones((1, *shape_px))
    if rng.random() < 0.6:
        score = depth - float(rng.uniform(0.35, 0.65)) * float(depth.max())
    else:
        score = across(shape_px, float(rng.uniform(0, np.pi)))
    second = 1 / (1 + np.exp(-np.clip(score / log_uniform(rng, 0.002, 0.02), -30, 30)))
    return np.stack([1 - second, second])


def _clusters(
    shape_px: tuple[int, int], chip_px: int, depth: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """(ny, nx) signal of few soft clusters in the cover: anywhere, or as a crust on its outer side."""
    signal = np.zeros(shape_px)
    rows, columns = np.arange(shape_px[0])[:, None], np.arange(shape_px[1])[None]
    outermost = depth <= np.quantile(depth, 1.5 * chip_px / max(shape_px))
    (places,) = np.nonzero((outermost if rng.random() < _CRUST_SHARE else depth < 0).ravel())
    for place in rng.choice(places, int(rng.choice(_CLUSTERS))).tolist():
        y, x = divmod(place, shape_px[1])
        squared = ((rows - y) ** 2 + (columns - x) ** 2) / (chip_px * float(rng.uniform(0.2, 0.8))) ** 2
        signal += float(rng.uniform(0.05, 0.4)) * np.exp(-np.minimum(squared, 30))
    return signal
