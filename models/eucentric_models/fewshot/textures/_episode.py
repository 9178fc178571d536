"""Episodes of few-shot training: several images, several textures in each, several chips of each texture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Bounded

from ._field import Field
from ._imaging import TextureImaging
from ._lattice import LatticeField
from ._other_fields import (
    AmorphousField,
    FlatField,
    FringeField,
    InterfaceField,
    ParticleField,
    RampField,
    StepField,
)

KINDS: dict[str, tuple[Callable[[np.random.Generator], Field], float]] = {
    "lattice": (LatticeField.random, 0.46),
    "fringes": (FringeField.random, 0.12),
    "amorphous": (AmorphousField.random, 0.14),
    "particles": (ParticleField.random, 0.12),
    "steps": (StepField.random, 0.07),
    "ramp": (RampField.random, 0.04),
    "flat": (FlatField.random, 0.05),
}
"""How each kind of texture is drawn, and how often."""

_INTERFACE_SHARE = 0.12
_SIBLING_SHARE = 0.7


class EpisodeSpec(BaseModel):
    """Size of an episode.

    Attributes:
        images: different images; chips of one share its imaging conditions and its grey scale.
        textures_per_image: classes of each image, so that there are ``images * textures_per_image`` ways.
        shots: support chips of each class.
        queries: chips of each class to be classified.
        chip_px: side of a chip.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int = Bounded(default=6, ge=1, le=64)
    textures_per_image: int = Bounded(default=4, ge=1, le=16)
    shots: int = Bounded(default=4, ge=1, le=10)
    queries: int = Bounded(default=4, ge=1, le=64)
    chip_px: int = Bounded(default=64, ge=32, le=256, multiple_of=16)

    @property
    def ways(self) -> int:
        """Classes."""
        return self.images * self.textures_per_image

    @property
    def chips_per_class(self) -> int:
        """Support and queries."""
        return self.shots + self.queries


@dataclass(frozen=True, slots=True)
class Texture:
    """A field with its grey level.

    Attributes:
        field: what it looks like.
        level: mean signal.
        contrast: standard deviation of the signal.
    """

    field: Field
    level: float
    contrast: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Texture:
        """Any kind, level and contrast."""
        level = float(rng.uniform(0.12, 0.8))
        return cls(random_field(rng), level, level * float(rng.uniform(0.06, 0.5)))

    def draw(self, shape_px: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
        """Signal of one place: (ny, nx), not negative."""
        level = self.level * (1 + rng.normal(0, 0.05))
        contrast = self.contrast * (1 + rng.normal(0, 0.05))
        return np.clip(level + contrast * self.field.again(rng).draw(shape_px, rng), 0, None)

    def relative(self, rng: np.random.Generator) -> Texture:
        """A texture of the same image that is easily taken for this one."""
        field = self.field.sibling(rng)
        if rng.random() < 0.5:
            return Texture(field, self.level, self.contrast)
        level = float(rng.uniform(0.12, 0.8))
        same_field = self.field if rng.random() < 0.3 and abs(level / self.level - 1) > 0.25 else field
        return Texture(same_field, level, level * self.contrast / self.level)


def random_field(rng: np.random.Generator) -> Field:
    """A texture of any kind; one in eight is an interface of two."""
    if rng.random() < _INTERFACE_SHARE:
        first = _plain_field(rng)
        second = first.sibling(rng) if rng.random() < 0.4 else _plain_field(rng)
        return InterfaceField.between(first, second, rng)
    return _plain_field(rng)


def textures_of_image(count: int, rng: np.random.Generator) -> list[Texture]:
    """Textures that occur side by side: relatives of the first, and others."""
    textures = [Texture.random(rng)]
    while len(textures) < count:
        related = rng.random() < _SIBLING_SHARE
        textures.append(textures[0].relative(rng) if related else Texture.random(rng))
    return textures


def draw_episode(spec: EpisodeSpec, rng: np.random.Generator) -> NDArray[np.float32]:
    """Chips of one episode, on the grey scale of the image that each is from.

    Args:
        spec: how many of what.
        rng: the only source of chance.

    Returns:
        (ways, shots + queries, chip_px, chip_px) float32: 0 and 1 are the 1st and the 99.5th percentile of
        the image.
    """
    canvas = spec.chip_px * 7 // 4
    chips = np.empty(
        (spec.images, spec.textures_per_image, spec.chips_per_class, spec.chip_px, spec.chip_px), np.float32
    )
    for image in range(spec.images):
        imaging = TextureImaging.random(rng)
        for index, texture in enumerate(textures_of_image(spec.textures_per_image, rng)):
            places = [imaging.expose(texture.draw((canvas, canvas), rng), rng) for _ in range(2)]
            for chip in range(spec.chips_per_class):
                y, x = rng.integers(0, canvas - spec.chip_px + 1, 2)
                chips[image, index, chip] = places[chip % 2][y : y + spec.chip_px, x : x + spec.chip_px]
        low, high = np.percentile(chips[image, :, :, ::2, ::2], [1, 99.5])
        chips[image] = (chips[image] - low) / max(high - low, 1e-6)
    return chips.reshape(spec.ways, spec.chips_per_class, spec.chip_px, spec.chip_px)


def _plain_field(rng: np.random.Generator) -> Field:
    makers, shares = zip(*KINDS.values(), strict=True)
    return makers[rng.choice(len(makers), p=shares)](rng)
