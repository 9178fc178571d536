"""The simulated data sets that both systems of `elit.py` are trained and judged on.

Three materials, frames of 256 x 256 pixels. The dose is given as electrons that the detector counts per pixel
at the peak of the strongest regular column in focus, "at unit brightness"; the background is a fifth of that.
Trained is on 1 to 10 electrons per pixel at 12 pm; the drifted conditions are seen for the first time when
they are judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric_hpc import TrainingSet
from eucentric_models import (
    CROSS_SECTION_M2_PER_WEIGHT,
    ELEMENTARY_CHARGE_C,
    Contamination,
    ImagingConditions,
    Material,
    ScanDistortion,
    build_crystal,
    form_frame,
    material_named,
)

PIXEL_SIZE_M = 12e-12
FRAME_PX = 256
DWELL_TIME_S = 10e-6
DOSES_E_PER_PX = (1.0, 10.0)
BACKGROUND_SHARE = 0.2
SPREAD = 0.15  # of the probe width in the training frames, either way
SCALE_SPREAD = 0.02  # of the pixel size, either way

_TAIL_FRACTION, _TAIL_WIDTH_RATIO = 0.15, 3.0
_SEED = 2026
_MATERIAL_SEEDS = {"graphene": 1, "mos2": 2, "srtio3": 3}


@dataclass(frozen=True, slots=True)
class Subject:
    """A material as the benchmark grows it.

    Attributes:
        material: what it is.
        classes: how many classes, from the first, are learned and scored.
        probe_sigma_m: in focus; an aberration-corrected probe.
        vacancy_fraction: share of the host columns that lose an atom.
    """

    material: Material
    classes: int
    probe_sigma_m: float
    vacancy_fraction: float

    @property
    def peak_share(self) -> float:
        """Share of the beam that the strongest regular column scatters at its peak."""
        weight = max(site.weight for site in self.material.sites)
        core = (1 - _TAIL_FRACTION) + _TAIL_FRACTION / _TAIL_WIDTH_RATIO**2
        return weight * CROSS_SECTION_M2_PER_WEIGHT * core / (2 * np.pi * self.probe_sigma_m**2)

    def conditions(self, dose_e_per_px: float, **changes: Any) -> ImagingConditions:
        """Imaging conditions of the given dose; `changes` drift, the beam current stays."""
        peak = self.peak_share
        base = ImagingConditions(
            pixel_size_m=PIXEL_SIZE_M,
            probe_sigma_m=self.probe_sigma_m,
            tail_fraction=_TAIL_FRACTION,
            tail_width_ratio=_TAIL_WIDTH_RATIO,
            beam_current_a=1e-12,
            dwell_time_s=DWELL_TIME_S,
            background_fraction=BACKGROUND_SHARE * peak,
            jitter_rms_px=0.35,
        )
        beam_e_per_px = dose_e_per_px / (peak * base.collection_efficiency)
        current_a = beam_e_per_px * ELEMENTARY_CHARGE_C / DWELL_TIME_S
        return ImagingConditions(**{**base.model_dump(), "beam_current_a": current_a, **changes})


SUBJECTS: Mapping[str, Subject] = MappingProxyType(
    {
        "graphene": Subject(material_named("graphene"), 1, 40e-12, 0.01),
        "mos2": Subject(material_named("mos2"), 2, 40e-12, 0.05),
        "srtio3": Subject(material_named("srtio3"), 2, 40e-12, 0.0),
    }
)


def training_frames(name: str, count: int) -> TrainingSet:
    """Labelled frames to train on, at a dose drawn between 1 and 10 electrons per pixel."""
    return _frames(SUBJECTS[name], count, _rng(name, 0), dose=DOSES_E_PER_PX, spread=True)


def validation_frames(name: str, count: int) -> TrainingSet:
    """Labelled frames of the same kind for AtomAI's own test batches."""
    return _frames(SUBJECTS[name], count, _rng(name, 1), dose=DOSES_E_PER_PX, spread=True)


DISPLACEMENT_M = 36e-12
DISPLACED_SHARE = 0.04
_EDGE_PX = 24
DRIFTED_DOSE_E_PER_PX = DOSES_E_PER_PX[1]
DRIFTED: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "pixel_x0.6": {"pixel_size_m": 0.6 * PIXEL_SIZE_M},
        "pixel_x1.6": {"pixel_size_m": 1.6 * PIXEL_SIZE_M},
        # Widens the probe from 40 to 64 pm rms.
        "defocus": {"defocus_m": 4e-9},
        "scan_distortion": {
            "jitter_rms_px": 1.0,
            "scan_distortion": ScanDistortion(
                shear=0.03, wobble_amplitude_px=2.0, wobble_period_rows=50.0
            ).model_dump(),
        },
        # A film that scatters on average 0.6 of what the strongest column does.
        "contamination": {"contamination_share": 0.6},
    }
)


def judged_frames(name: str, count: int) -> dict[str, TrainingSet]:
    """Labelled frames that nobody trained on, by condition.

    ``own`` is as the training data but for the scatter, ``dose_N`` has N electrons per pixel; the drifted
    conditions have 10.
    """
    subject = SUBJECTS[name]
    sets = {"own": _frames(subject, count, _rng(name, 2), dose=DOSES_E_PER_PX, spread=False)}
    for purpose, dose in enumerate((10.0, 5.0, 2.0, 1.0), start=10):
        sets[f"dose_{dose:g}"] = _frames(subject, count, _rng(name, purpose), dose=(dose, dose), spread=False)
    for purpose, (condition, changes) in enumerate(DRIFTED.items(), start=20):
        sets[condition] = _drifted(subject, count, _rng(name, purpose), changes)
    return sets


def first_drifted_frames(name: str, condition: str, count: int) -> TrainingSet:
    """The first frames of a drifted condition, unlabelled: what an iteration of ELIT may look at."""
    purpose = 40 + list(DRIFTED).index(condition)
    frames = _drifted(SUBJECTS[name], count, _rng(name, purpose), DRIFTED[condition])
    return TrainingSet(frames.frames, (None,) * len(frames), frames.pixel_sizes_m)


def large_frame(name: str, side_px: int) -> TrainingSet:
    """One labelled frame of 5 electrons per pixel, to time predictions on."""
    return _frames(SUBJECTS[name], 1, _rng(name, 60), dose=(5.0, 5.0), spread=False, side_px=side_px)


def displaced_frames(name: str, count: int) -> tuple[TrainingSet, tuple[NDArray[np.float64], ...]]:
    """Frames of 10 electrons per pixel in which some columns really stand beside their place on the lattice.

    Returns:
        The frames, and for each one (m, 4) rows ``y_px, x_px`` of the places on the lattice of the displaced
        columns and ``dy_px, dx_px`` of their displacements, :data:`DISPLACEMENT_M` in any direction.
    """
    subject, rng = SUBJECTS[name], _rng(name, 61)
    conditions = subject.conditions(DRIFTED_DOSE_E_PER_PX)
    side_m = FRAME_PX * PIXEL_SIZE_M + 1e-9
    frames, truths, displaced = [], [], []
    for _ in range(count):
        crystal = build_crystal(
            subject.material, (side_m, side_m), rng, vacancy_fraction=0.0, dopant_fraction=0.0
        )
        moved = (rng.random(len(crystal)) < DISPLACED_SHARE) & (crystal.class_id < subject.classes)
        angle = rng.uniform(0, 2 * np.pi, int(moved.sum()))
        step_px = DISPLACEMENT_M / PIXEL_SIZE_M * np.stack([np.sin(angle), np.cos(angle)], axis=1)
        places_px = crystal.positions_m[moved] / PIXEL_SIZE_M + (FRAME_PX - 1) / 2
        positions_m = crystal.positions_m.copy()
        positions_m[moved] += step_px * PIXEL_SIZE_M
        formed = form_frame(replace(crystal, positions_m=positions_m), conditions, (FRAME_PX, FRAME_PX), rng)
        rows = np.column_stack([places_px, step_px])
        frames.append(formed.frame)
        truths.append(formed.truth)
        displaced.append(rows[np.all((places_px > _EDGE_PX) & (places_px < FRAME_PX - _EDGE_PX), axis=1)])
    return TrainingSet(tuple(frames), tuple(truths), (PIXEL_SIZE_M,) * count), tuple(displaced)


def conditions_of(subject: Subject, dose_e_per_px: float, changes: Mapping[str, Any]) -> ImagingConditions:
    """Conditions of one entry of :data:`DRIFTED`."""
    changes = dict(changes)
    if share := changes.pop("contamination_share", None):
        changes["contamination"] = Contamination(level=share * subject.peak_share).model_dump()
    return subject.conditions(dose_e_per_px, **changes)


def _drifted(
    subject: Subject, count: int, rng: np.random.Generator, changes: Mapping[str, Any]
) -> TrainingSet:
    changes = dict(changes)
    if share := changes.pop("contamination_share", None):
        changes["contamination"] = Contamination(level=share * subject.peak_share).model_dump()
    dose = DRIFTED_DOSE_E_PER_PX
    return _frames(subject, count, rng, dose=(dose, dose), spread=False, **changes)


def _rng(name: str, purpose: int) -> np.random.Generator:
    return np.random.default_rng([_SEED, _MATERIAL_SEEDS[name], purpose])


def _frames(
    subject: Subject,
    count: int,
    rng: np.random.Generator,
    *,
    dose: tuple[float, float],
    spread: bool,
    side_px: int = FRAME_PX,
    **changes: Any,
) -> TrainingSet:
    frames, truths, sizes = [], [], []
    for _ in range(count):
        conditions = subject.conditions(float(np.exp(rng.uniform(*np.log(dose)))), **changes)
        if spread:
            width, scale = rng.uniform(-1, 1, 2) * (SPREAD, SCALE_SPREAD)
            conditions = conditions.model_copy(
                update={
                    "probe_sigma_m": conditions.probe_sigma_m * np.exp(width),
                    "pixel_size_m": conditions.pixel_size_m * np.exp(scale),
                }
            )
        side_m = side_px * conditions.pixel_size_m + 1e-9
        crystal = build_crystal(
            subject.material,
            (side_m, side_m),
            rng,
            vacancy_fraction=subject.vacancy_fraction,
            dopant_fraction=0.0,
        )
        formed = form_frame(crystal, conditions, (side_px, side_px), rng)
        frames.append(formed.frame)
        truths.append(formed.truth)
        sizes.append(conditions.pixel_size_m)
    return TrainingSet(tuple(frames), tuple(truths), tuple(sizes))


def masks(
    truth: NDArray[np.floating], shape: tuple[int, int], classes: int, *, radius_px: float = 3.6
) -> NDArray[Any]:
    """Training masks as AtomAI wants them, discs of `radius_px`.

    For one class float32 of 0 and 1; for more, int64 of the class id, and `classes` for the background.
    """
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.full(shape, classes, np.int64)
    reach = int(np.ceil(radius_px))
    for row_px, column_px, class_id in truth[truth[:, 2] < classes]:
        top, left = max(0, round(float(row_px)) - reach), max(0, round(float(column_px)) - reach)
        window = np.s_[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
        inside = (y[window] - row_px) ** 2 + (x[window] - column_px) ** 2 <= radius_px**2
        image[window][inside] = int(class_id)
    return (image == 0).astype(np.float32) if classes == 1 else image
