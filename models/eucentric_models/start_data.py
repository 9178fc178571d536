"""Synthetic frames to train on before an instrument has delivered any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from .crystal import build_crystal
from .errors import UnknownMaterialError
from .image_formation import ImagingConditions, SimulatedFrame, form_frame
from .material import MATERIALS, Material
from .unknown_crystal import UnknownCrystal


class ConditionsSpread(BaseModel):
    """How far simulated conditions scatter around a centre.

    Attributes:
        pixel_size: the pixel size is scaled by up to exp(+-pixel_size).
        probe_width: the probe width is scaled by up to exp(+-probe_width).
        beam_current: the beam current is scaled by up to exp(+-beam_current).
        defocus_m: rms of the defocus added.
        jitter_rms_px: largest row jitter added.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pixel_size: float = Field(default=0.08, ge=0, le=1)
    probe_width: float = Field(default=0.08, ge=0, le=1)
    beam_current: float = Field(default=0.08, ge=0, le=5)
    defocus_m: float = Field(default=0.8e-9, ge=0, le=1e-7)
    jitter_rms_px: float = Field(default=0.0, ge=0, le=10)


class StartMaterial(Protocol):
    """A named kind of specimen that a first model can be trained for, on simulated labelled frames."""

    @property
    def name(self) -> str:
        """Key in :data:`START_MATERIALS`."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the index is the class id, ``vacancy`` is always the last."""
        ...

    @property
    def detectable_classes(self) -> tuple[str, ...]:
        """Class names that a network is trained on, ids unchanged."""
        ...

    def simulate(
        self, conditions: ImagingConditions, shape: tuple[int, int], rng: np.random.Generator
    ) -> SimulatedFrame:
        """One labelled (ny, nx) frame of a fresh specimen."""
        ...


@dataclass(frozen=True, slots=True)
class KnownCrystal:
    """Freshly grown, randomly rotated crystals of one known material."""

    material: Material

    @property
    def name(self) -> str:
        """Name of the material."""
        return self.material.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names of the material."""
        return self.material.classes

    @property
    def detectable_classes(self) -> tuple[str, ...]:
        """Class names of the material without ``vacancy``."""
        return self.material.detectable_classes

    def simulate(
        self, conditions: ImagingConditions, shape: tuple[int, int], rng: np.random.Generator
    ) -> SimulatedFrame:
        """One labelled (ny, nx) frame of a fresh crystal with point defects."""
        # A nanometre more than the field of view: columns just outside still shine into the frame.
        extent_m = (shape[0] * conditions.pixel_size_m + 1e-9, shape[1] * conditions.pixel_size_m + 1e-9)
        return form_frame(build_crystal(self.material, extent_m, rng), conditions, shape, rng)


_START_MATERIALS: tuple[StartMaterial, ...] = (*map(KnownCrystal, MATERIALS.values()), UnknownCrystal())
START_MATERIALS: Mapping[str, StartMaterial] = MappingProxyType({m.name: m for m in _START_MATERIALS})


def start_material_named(name: str) -> StartMaterial:
    """Look a start material up by name.

    Raises:
        UnknownMaterialError: there is no such material.
    """
    try:
        return START_MATERIALS[name]
    except KeyError:
        raise UnknownMaterialError(
            f"There is no start material named {name!r}.",
            safe="nothing was simulated.",
            next_step=f"choose one of {', '.join(sorted(START_MATERIALS))}.",
        ) from None


class LabelledFrame(NamedTuple):
    """A simulated frame with truth and calibration.

    Attributes:
        frame: (ny, nx) raw counts.
        truth: (n, 3) float32 rows ``y_px, x_px, class_id``.
        conditions: what it was taken with.
    """

    frame: NDArray[np.uint16] | NDArray[np.float32]
    truth: NDArray[np.float32]
    conditions: ImagingConditions


def simulate_frames(
    material: str,
    conditions: ImagingConditions,
    count: int,
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    spread: ConditionsSpread | None = None,
) -> list[LabelledFrame]:
    """Frames of fresh specimens of a start material.

    Args:
        material: key of :data:`START_MATERIALS`.
        conditions: centre of the imaging conditions.
        count: number of frames.
        shape: ``(ny, nx)``.
        rng: source of specimens, conditions and noise.
        spread: scatter of the conditions from frame to frame; None keeps them exactly.

    Raises:
        UnknownMaterialError: there is no such material.
    """
    chosen = start_material_named(material)
    frames = []
    for _ in range(count):
        actual = conditions if spread is None else vary_conditions(conditions, spread, rng)
        simulated = chosen.simulate(actual, shape, rng)
        frames.append(LabelledFrame(simulated.frame, simulated.truth, actual))
    return frames


def vary_conditions(
    conditions: ImagingConditions, spread: ConditionsSpread, rng: np.random.Generator
) -> ImagingConditions:
    """Conditions scattered around a centre."""
    widths = np.array([spread.pixel_size, spread.probe_width, spread.beam_current])
    factors = np.exp(widths * rng.uniform(-1, 1, size=3))
    varied = {
        **conditions.model_dump(),
        "pixel_size_m": conditions.pixel_size_m * factors[0],
        "probe_sigma_m": conditions.probe_sigma_m * factors[1],
        "beam_current_a": conditions.beam_current_a * factors[2],
        "defocus_m": conditions.defocus_m + rng.normal(0, spread.defocus_m),
    }
    if spread.jitter_rms_px:
        varied["jitter_rms_px"] = conditions.jitter_rms_px + rng.uniform(0, spread.jitter_rms_px)
    return ImagingConditions(**varied)
