"""Whole images of several textures that change from place to place, with the truth. SIMULATED.

A specimen is a film on a substrate, domains, or inclusions in a matrix: each region shows one texture, and no
two places of a region look quite alike, since it becomes thicker, more damaged or less sharp on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Bounded
from scipy import ndimage

from ._episode import Texture, textures_of_image
from ._field import Field, log_uniform, low_passed, standardised
from ._imaging import TextureImaging
from ._lattice import LatticeField
from ._other_fields import AmorphousField, FringeField, InterfaceField, ParticleField, RampField, StepField

Layout = Literal["layers", "domains", "inclusions"]

_LAYOUTS: tuple[Layout, ...] = ("layers", "domains", "inclusions")
_LEAST_SHARE = 0.08
_DRAWS = 20
_COARSE = 64
_UNEVEN = (InterfaceField, RampField, StepField)
"""Fields that are not the same everywhere."""


class Change(BaseModel):
    """How much a region differs from one end to the other.

    Attributes:
        level: relative change of the mean signal: thickness, detector, beam current.
        contrast: relative loss of contrast: thickness, tilt.
        damage: part of the structure that has become amorphous at the worst place.
        blur_px: blur at the worst place beyond that of the image: focus, bending.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: float = Bounded(ge=0, le=1)
    contrast: float = Bounded(ge=0, le=1)
    damage: float = Bounded(ge=0, le=1)
    blur_px: float = Bounded(ge=0, le=8)

    @classmethod
    def random(cls, rng: np.random.Generator) -> Change:
        """From none to what makes somebody choose another place."""
        return cls(
            level=float(rng.choice([0.0, rng.uniform(0, 0.35)])),
            contrast=float(rng.choice([0.0, rng.uniform(0, 0.6)])),
            damage=float(rng.choice([0.0, 0.0, rng.uniform(0.1, 0.6)])),
            blur_px=float(rng.choice([0.0, 0.0, rng.uniform(0.3, 1.5)])),
        )


@dataclass(frozen=True, slots=True)
class Specimen:
    """An image and the truth about it.

    Attributes:
        image: (ny, nx) float32; about 1 where the signal is 1.
        region: (ny, nx) int8, which texture each pixel shows; -1 for specks that are of none.
        textures: one for each region.
    """

    image: NDArray[np.float32]
    region: NDArray[np.int8]
    textures: tuple[Texture, ...]

    def purest(
        self, tops_px: NDArray[np.intp], lefts_px: NDArray[np.intp], side_px: int, *, least: float = 0.95
    ) -> NDArray[np.intp]:
        """(n,) region of each chip, -1 for those of which less than a part ``least`` shows one region.

        Args:
            tops_px: (n,) first row of each chip.
            lefts_px: (n,) first column of each chip.
            side_px: of the chips.
            least: part of the pixels.
        """
        truth = np.full(len(tops_px), -1, np.intp)
        for index in range(len(self.textures)):
            table = np.pad((self.region == index).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
            bottoms, rights = tops_px + side_px, lefts_px + side_px
            inside = table[bottoms, rights] - table[tops_px, rights] - table[bottoms, lefts_px]
            truth[inside + table[tops_px, lefts_px] >= least * side_px**2] = index
        return truth


def draw_specimen(
    shape_px: tuple[int, int], regions: int, coarsest_px: float, rng: np.random.Generator
) -> Specimen:
    """A specimen of any layout.

    Args:
        shape_px: of the image.
        regions: how many textures; each covers a part of the image that is worth a name.
        coarsest_px: longest period or diameter: half the side of the chips that are to be cut.
        rng: the only source of chance.
    """
    share = _shares(shape_px, regions, rng)
    textures = even_textures(regions, coarsest_px, rng)
    signal = np.zeros(shape_px)
    for texture, weight in zip(textures, share, strict=True):
        signal += weight * changing(texture, shape_px, Change.random(rng), rng)
    specks = _specks(shape_px, rng)
    speck_level = float(rng.uniform(0.0, 1.0))
    signal += specks * (speck_level - signal)
    image = TextureImaging.random(rng).expose(signal, rng)
    region = np.where(specks > 0.5, -1, share.argmax(axis=0)).astype(np.int8)
    return Specimen(image, region, textures)


def even_textures(count: int, coarsest_px: float, rng: np.random.Generator) -> tuple[Texture, ...]:
    """Textures that occur side by side and are the same everywhere but for what changes gradually."""
    while True:
        textures = textures_of_image(count, rng)
        fields = [texture.field for texture in textures]
        if not any(isinstance(field, _UNEVEN) or _pitch_px(field) > coarsest_px for field in fields):
            return tuple(textures)


def _pitch_px(field: Field) -> float:
    if isinstance(field, LatticeField):
        return max(
            field.period_px,
            float(np.hypot(*field.lattice.vectors_m[1]))
            * field.period_px
            / float(np.hypot(*field.lattice.vectors_m[0])),
        )
    if isinstance(field, FringeField):
        return max(field.periods_px)
    if isinstance(field, ParticleField):
        return 2 * field.radius_px
    return 0.0


def _shares(shape_px: tuple[int, int], regions: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(regions, ny, nx) part of each region at each pixel; sums to 1. Interfaces are sharp or diffuse."""
    layout = _LAYOUTS[rng.integers(len(_LAYOUTS))]
    softness = log_uniform(rng, 0.003, 0.05)
    for _ in range(_DRAWS):
        score = _scores(layout, shape_px, regions, rng) / softness
        weight = np.exp(score - score.max(axis=0))
        weight /= weight.sum(axis=0)
        if weight.mean(axis=(1, 2)).min() >= _LEAST_SHARE:
            break
    return weight


def _scores(
    layout: Layout, shape_px: tuple[int, int], regions: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(regions, ny, nx): each pixel is of the region that scores highest."""
    wave = smooth(shape_px, 1 / 4, rng)
    if layout == "layers":
        angle_rad = float(rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)]))
        along = across(shape_px, angle_rad) + float(rng.choice([0.0, 0.02, 0.06])) * wave
        edges = np.sort(rng.uniform(-0.4, 0.4, regions - 1))
        # Lines that grow ever steeper: each is the highest between the edges where it meets its neighbours.
        starts = np.concatenate([[0.0], np.cumsum(edges)])
        return np.stack([2 * (index * along - starts[index]) for index in range(regions)])
    fields = np.stack([smooth(shape_px, float(rng.uniform(1 / 12, 1 / 5)), rng) for _ in range(regions)])
    if layout == "inclusions":
        fields[0] = 1.0
    return 0.3 * fields


def changing(
    texture: Texture, shape_px: tuple[int, int], change: Change, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The texture as it changes over an image: (ny, nx) signal, not negative."""
    margin = max(8, max(shape_px) // 32)
    canvas = (shape_px[0] + 2 * margin, shape_px[1] + 2 * margin)
    field = _bent(texture.field.again(rng).draw(canvas, rng), margin, rng)
    if change.damage:
        part = change.damage * _ramp(shape_px, rng)
        film = AmorphousField.random(rng).draw(shape_px, rng)
        field = np.sqrt(1 - part) * field + np.sqrt(part) * film
    if change.blur_px:
        part = _ramp(shape_px, rng)
        field = (1 - part) * field + part * low_passed(field, change.blur_px)
    level = texture.level * (1 + change.level * (_ramp(shape_px, rng) - 0.5))
    contrast = texture.contrast * (1 - change.contrast * _ramp(shape_px, rng))
    return np.clip(level + contrast * field, 0, None)


def _bent(field: NDArray[np.float32], margin_px: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The middle of a field, bent smoothly: strain, tilt, drift of the scan. At most 3 % anywhere."""
    ny, nx = (side - 2 * margin_px for side in field.shape)
    rows, columns = np.indices((ny, nx), dtype=np.float64) + margin_px
    amount_px = min(float(rng.choice([0.0, rng.uniform(0, 0.02)])) * max(ny, nx) / 6, margin_px / 3.5)
    if amount_px < 0.05:
        return field[margin_px : margin_px + ny, margin_px : margin_px + nx].astype(np.float64)
    rows += amount_px * np.clip(smooth((ny, nx), 1 / 4, rng), -3, 3)
    columns += amount_px * np.clip(smooth((ny, nx), 1 / 4, rng), -3, 3)
    return np.asarray(ndimage.map_coordinates(field, [rows, columns], order=1, mode="nearest"), np.float64)


def _specks(shape_px: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """(ny, nx) in 0 to 1: few round places of none of the textures, dirt or holes."""
    specks = np.zeros(shape_px)
    count = int(rng.choice([0, 0, 1, 2, 4]))
    rows, columns = np.arange(shape_px[0])[:, None], np.arange(shape_px[1])[None]
    for _ in range(count):
        radius = max(shape_px) * float(rng.uniform(0.015, 0.06))
        y, x = rng.uniform(0, shape_px[0]), rng.uniform(0, shape_px[1])
        distance = np.hypot(rows - y, columns - x)
        specks = np.maximum(specks, 1 / (1 + np.exp(np.clip((distance - radius) / 2, -30, 30))))
    return specks


def _ramp(shape_px: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """(ny, nx) from 0 to 1: in any direction, or in and out."""
    along = across(shape_px, float(rng.uniform(0, 2 * np.pi))) + 0.1 * smooth(shape_px, 1 / 4, rng)
    if rng.random() < 0.2:
        along = np.abs(along)
    low, high = float(along.min()), float(along.max())
    return (along - low) / (high - low)


def across(shape_px: tuple[int, int], angle_rad: float) -> NDArray[np.float64]:
    """(ny, nx) position along a direction, about -0.5 to 0.5 over the image."""
    y = np.arange(shape_px[0])[:, None] / shape_px[0] - 0.5
    x = np.arange(shape_px[1])[None] / shape_px[1] - 0.5
    return y * np.sin(angle_rad) + x * np.cos(angle_rad)


def smooth(shape_px: tuple[int, int], scale: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Random field with mean 0 and deviation 1 that changes over a part ``scale`` of the image."""
    coarse = standardised(low_passed(rng.standard_normal((_COARSE, _COARSE)), _COARSE * scale / 2))
    down, across = (_interpolation(side) for side in shape_px)
    return np.asarray(down @ coarse.astype(np.float64) @ across.T, np.float64)


def _interpolation(side_px: int) -> NDArray[np.float64]:
    """(side_px, coarse) weights of linear interpolation."""
    place = np.linspace(0, _COARSE - 1, side_px)
    return np.clip(1 - np.abs(place[:, None] - np.arange(_COARSE)[None]), 0, None)
