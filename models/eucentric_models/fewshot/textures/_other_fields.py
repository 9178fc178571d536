"""Textures that are no lattice: fringes, amorphous films, particles, steps, ramps, vacuum, interfaces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ._field import Field, coordinates, frequencies, log_uniform, low_passed, standardised


@dataclass(frozen=True, slots=True)
class FringeField:
    """One or two sets of fringes: lattice planes, moiré, thickness fringes.

    Attributes:
        periods_px: of each set.
        angles_rad: direction across each set.
        weights: amplitude of each set.
        sharpness: 0 for sinusoids, more for narrow bright lines.
    """

    periods_px: tuple[float, float]
    angles_rad: tuple[float, float]
    weights: tuple[float, float]
    sharpness: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> FringeField:
        """Any fringes that a chip of 64 pixels resolves and holds twice."""
        first, angle = log_uniform(rng, 3.5, 32), float(rng.uniform(0, np.pi))
        moire = rng.random() < 0.5
        return cls(
            (first, first * float(rng.uniform(0.8, 1.25)) if moire else log_uniform(rng, 3.5, 32)),
            (angle, angle + float(rng.uniform(-0.4, 0.4))),
            (1.0, float(rng.uniform(0.4, 1.0)) if moire else 0.0),
            float(rng.choice([0.0, 1.5])),
        )

    def draw(self, shape_px: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """See :class:`Field`."""
        field = np.zeros(shape_px)
        for period_px, angle_rad, weight in zip(self.periods_px, self.angles_rad, self.weights, strict=True):
            if weight:
                phase = 2 * np.pi * coordinates(shape_px, angle_rad) / period_px + rng.uniform(0, 2 * np.pi)
                field += weight * np.cos(phase)
        return standardised(np.exp(self.sharpness * field) if self.sharpness else field)

    def again(self, rng: np.random.Generator) -> Self:
        """See :class:`Field`."""
        factor, turn = 1 + rng.normal(0, 0.015), rng.normal(0, 0.02)
        return replace(
            self,
            periods_px=(self.periods_px[0] * factor, self.periods_px[1] * factor),
            angles_rad=(self.angles_rad[0] + turn, self.angles_rad[1] + turn),
        )

    def sibling(self, rng: np.random.Generator) -> Field:
        """Fringes turned, of another period, or crossed by a second set."""
        kind = rng.integers(3)
        if kind == 0:
            turn = float(rng.choice([-1, 1]) * rng.uniform(0.2, 0.8))
            return replace(self, angles_rad=(self.angles_rad[0] + turn, self.angles_rad[1] + turn))
        if kind == 1:
            factor = float(rng.choice([rng.uniform(0.65, 0.85), rng.uniform(1.18, 1.5)]))
            return replace(self, periods_px=(self.periods_px[0] * factor, self.periods_px[1] * factor))
        return replace(self, weights=(1.0, 0.0 if self.weights[1] else float(rng.uniform(0.6, 1.0))))


@dataclass(frozen=True, slots=True)
class AmorphousField:
    """Band-passed noise: an amorphous film's speckle, contamination, grain.

    Attributes:
        peak_per_px: spatial frequency of the ring in cycles per pixel; 0 for clouds.
        width_per_px: width of the ring.
    """

    peak_per_px: float
    width_per_px: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> AmorphousField:
        """Speckle of 2.5 to 16 pixels, or clouds."""
        clouds = rng.random() < 0.3
        return cls(0.0 if clouds else log_uniform(rng, 0.06, 0.35), log_uniform(rng, 0.012, 0.08))

    def draw(self, shape_px: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """See :class:`Field`."""
        fy, fx = frequencies(shape_px)
        ring = np.exp(-0.5 * ((np.hypot(fy, fx) - self.peak_per_px) / self.width_per_px) ** 2)
        white = rng.standard_normal(shape_px, dtype=np.float32)
        return standardised(np.fft.irfft2(np.fft.rfft2(white) * ring, s=shape_px))

    def again(self, rng: np.random.Generator) -> Self:
        """See :class:`Field`."""
        return replace(self, peak_per_px=self.peak_per_px * float(rng.uniform(0.97, 1.03)))

    def sibling(self, rng: np.random.Generator) -> Field:
        """Coarser or finer speckle."""
        factor = float(rng.choice([rng.uniform(0.55, 0.75), rng.uniform(1.35, 1.8)]))
        return replace(self, peak_per_px=self.peak_per_px * factor, width_per_px=self.width_per_px * factor)


@dataclass(frozen=True, slots=True)
class ParticleField:
    """Particles on a support.

    Attributes:
        radius_px: median radius.
        spread: standard deviation of the logarithm of the radius.
        coverage: mean number of particles over each pixel.
        edge_px: blur of a particle's rim.
        polarity: 1 for bright particles, -1 for holes.
    """

    radius_px: float
    spread: float
    coverage: float
    edge_px: float
    polarity: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> ParticleField:
        """Particles of 2 to 12 pixels in radius."""
        return cls(
            log_uniform(rng, 2, 12),
            float(rng.uniform(0.02, 0.4)),
            float(rng.uniform(0.12, 0.7)),
            float(rng.uniform(0.5, 2.0)),
            float(rng.choice([1.0, 1.0, -1.0])),
        )

    def draw(self, shape_px: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """See :class:`Field`."""
        margin = 2 * self.radius_px
        area = (shape_px[0] + 2 * margin) * (shape_px[1] + 2 * margin)
        count = 1 + rng.poisson(self.coverage * area / (np.pi * self.radius_px**2))
        field = np.zeros(shape_px)
        for _ in range(min(int(count), 250)):
            radius = self.radius_px * np.exp(rng.normal(0, self.spread))
            cy, cx = (rng.uniform(-margin, side + margin) for side in shape_px)
            y0, y1 = max(0, int(cy - radius - 1)), min(shape_px[0], int(cy + radius + 2))
            x0, x1 = max(0, int(cx - radius - 1)), min(shape_px[1], int(cx + radius + 2))
            if y0 < y1 and x0 < x1:
                inside = (np.arange(y0, y1)[:, None] - cy) ** 2 + (
                    np.arange(x0, x1)[None] - cx
                ) ** 2 < radius**2
                field[y0:y1, x0:x1] += inside * rng.uniform(0.8, 1.2)
        return standardised(self.polarity * low_passed(field, self.edge_px))

    def again(self, rng: np.random.Generator) -> Self:
        """See :class:`Field`."""
        return replace(self, coverage=self.coverage * float(rng.uniform(0.92, 1.08)))

    def sibling(self, rng: np.random.Generator) -> Field:
        """Larger or smaller, or fewer or more particles."""
        factor = float(rng.choice([rng.uniform(0.5, 0.7), rng.uniform(1.45, 2.0)]))
        if rng.random() < 0.6:
            return replace(self, radius_px=float(np.clip(self.radius_px * factor, 1.5, 18)))
        return replace(self, coverage=self.coverage * factor)


@dataclass(frozen=True, slots=True)
class StepField:
    """Terraces: plateaus between parallel steps.

    Attributes:
        width_px: mean width of a terrace.
        angle_rad: direction across the steps.
        edge_px: blur of a step.
    """

    width_px: float
    angle_rad: float
    edge_px: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> StepField:
        """Terraces of 6 to 24 pixels."""
        return cls(log_uniform(rng, 6, 24), float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.3, 2.0)))

    def draw(self, shape_px: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """See :class:`Field`."""
        along = coordinates(shape_px, self.angle_rad)
        reach = float(np.abs(along).max()) + self.width_px
        edges = np.cumsum(rng.uniform(0.6, 1.4, int(2 * reach / self.width_px) + 4) * self.width_px) - reach
        heights = np.concatenate([[0.0], np.cumsum(rng.choice([1.0, 1.0, 1.0, -1.0], len(edges)))])
        return standardised(low_passed(heights[np.searchsorted(edges, along)], self.edge_px))

    def again(self, rng: np.random.Generator) -> Self:
        """See :class:`Field`."""
        return replace(self, angle_rad=self.angle_rad + float(rng.normal(0, 0.03)))

    def sibling(self, rng: np.random.Generator) -> Field:
        """Steps turned, or wider or narrower terraces."""
        if rng.random() < 0.5:
            return replace(
                self, angle_rad=self.angle_rad + float(rng.choice([-1, 1]) * rng.uniform(0.4, 1.2))
            )
        return replace(self, width_px=self.width_px * float(rng.choice([0.55, 1.8])))


@dataclass(frozen=True, slots=True)
class RampField:
    """A smooth slope: a wedge, a bent foil.

    Attributes:
        angle_rad: uphill.
    """

    angle_rad: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> RampField:
        """Any direction."""
        return cls(float(rng.uniform(0, 2 * np.pi)))

    def draw(self, shape_px: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """See :class:`Field`."""
        along = coordinates(shape_px, self.angle_rad) / max(shape_px)
        return standardised(along + rng.uniform(-0.2, 0.2) * along**2)

    def again(self, rng: np.random.Generator) -> Self:
        """See :class:`Field`."""
        return replace(self, angle_rad=self.angle_rad + float(rng.normal(0, 0.05)))

    def sibling(self, rng: np.random.Generator) -> Field:
        """A slope in another direction."""
        return replace(self, angle_rad=self.angle_rad + float(rng.uniform(0.8, 2 * np.pi - 0.8)))


@dataclass(frozen=True, slots=True)
class FlatField:
    """Vacuum, or a film without any texture."""

    @classmethod
    def random(cls, rng: np.random.Generator) -> FlatField:
        """There is one kind of nothing."""
        del rng
        return cls()

    def draw(self, shape_px: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """See :class:`Field`."""
        del rng
        return np.zeros(shape_px, np.float32)

    def again(self, rng: np.random.Generator) -> Self:
        """See :class:`Field`."""
        del rng
        return self

    def sibling(self, rng: np.random.Generator) -> Field:
        """Clouds."""
        return AmorphousField(0.0, log_uniform(rng, 0.012, 0.05))


@dataclass(frozen=True, slots=True)
class InterfaceField:
    """Two textures that meet in a line through the middle of whatever is drawn.

    Attributes:
        first: on the side that the angle points away from.
        second: on the other side.
        angle_rad: direction across the interface.
        offset: mean of the second over that of the first, in standard deviations.
        edge_px: width of the transition.
    """

    first: Field
    second: Field
    angle_rad: float
    offset: float
    edge_px: float

    @classmethod
    def between(cls, first: Field, second: Field, rng: np.random.Generator) -> InterfaceField:
        """An interface in any direction, sharp or diffuse."""
        angle_rad = float(rng.uniform(0, 2 * np.pi))
        return cls(first, second, angle_rad, float(rng.uniform(0, 2.5)), log_uniform(rng, 0.5, 5))

    def draw(self, shape_px: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """See :class:`Field`."""
        share = 1 / (1 + np.exp(-np.clip(coordinates(shape_px, self.angle_rad) / self.edge_px, -30, 30)))
        first, second = self.first.draw(shape_px, rng), self.second.draw(shape_px, rng)
        return standardised(first * (1 - share) + (second + self.offset) * share)

    def again(self, rng: np.random.Generator) -> Self:
        """See :class:`Field`."""
        return replace(
            self,
            first=self.first.again(rng),
            second=self.second.again(rng),
            angle_rad=self.angle_rad + float(rng.normal(0, 0.05)),
        )

    def sibling(self, rng: np.random.Generator) -> Field:
        """One of its sides alone, or the interface seen from the other side."""
        kind = rng.integers(3)
        if kind == 2:
            return replace(self, angle_rad=self.angle_rad + np.pi)
        return self.second if kind else self.first
