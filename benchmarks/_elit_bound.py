"""How exactly a column can be placed by what its own image shows: the Cramér-Rao bound of `elit.py`'s frames.

Of estimates without bias that know the shape of the probe, the background and how many columns there are, and
nothing of a lattice: place and strength of every column are free (van Aert et al., Ultramicroscopy 90, 273,
2002). Noise is that of the electrons, which are Poisson distributed, and of the detector; the jitter of
the rows is added for the rows that a column covers. Networks that were trained on a lattice may stay below.
"""

from __future__ import annotations

import numpy as np
from _elit_data import DRIFTED, DRIFTED_DOSE_E_PER_PX, SUBJECTS, Subject, conditions_of
from numpy.typing import NDArray

from eucentric_models import CROSS_SECTION_M2_PER_WEIGHT, ImagingConditions, build_crystal

_SIDE_PX = 96
_INNER_PX = 20  # columns nearer to the edge of the patch are not looked at
_REACH_PX = 30  # columns further outside of it do not shine into it
_DOSES = 5


def bounds_m(name: str) -> dict[str, float]:
    """Smallest rms distance from the truth, by the condition of :func:`_elit_data.judged_frames`.

    Of `own`, whose dose is drawn, the root of the mean square over the doses.
    """
    subject = SUBJECTS[name]
    doses = np.geomspace(1.0, DRIFTED_DOSE_E_PER_PX, _DOSES)
    found = {"own": float(np.sqrt(np.mean([_bound_m(subject, subject.conditions(d)) ** 2 for d in doses])))}
    found |= {f"dose_{dose:g}": _bound_m(subject, subject.conditions(dose)) for dose in (10.0, 5.0, 2.0, 1.0)}
    for condition, changes in DRIFTED.items():
        conditions = conditions_of(subject, DRIFTED_DOSE_E_PER_PX, changes)
        if conditions.contamination is not None:
            # Of the film only that it scatters on average: its unevenness makes it harder.
            background = conditions.background_fraction + conditions.contamination.level
            conditions = conditions.model_copy(update={"background_fraction": background})
        found[condition] = _bound_m(subject, conditions)
    return found


def _bound_m(subject: Subject, conditions: ImagingConditions) -> float:
    size_m = conditions.pixel_size_m
    extent_m = _SIDE_PX * size_m + 1e-9
    crystal = build_crystal(
        subject.material,
        (extent_m, extent_m),
        np.random.default_rng(0),
        vacancy_fraction=0.0,
        dopant_fraction=0.0,
    )
    places = crystal.positions_m / size_m + (_SIDE_PX - 1) / 2
    near = np.all((places > -_REACH_PX) & (places < _SIDE_PX + _REACH_PX), axis=1)
    places, class_id = places[near], crystal.class_id[near]
    electrons = conditions.electrons_per_pixel * conditions.collection_efficiency
    strength = crystal.weight[near] * CROSS_SECTION_M2_PER_WEIGHT / size_m**2 * electrons
    core_px2 = conditions.probe_covariance_m2[0] / size_m**2
    expected = np.full((_SIDE_PX, _SIDE_PX), conditions.background_fraction * electrons)
    slopes: list[list[NDArray[np.float64]]] = [[], [], []]
    for place, one in zip(places, strength, strict=True):
        shape, along_y, along_x = _profile(place, core_px2, conditions)
        expected += one * shape
        for kind, slope in zip(slopes, (one * along_y, one * along_x, one * shape), strict=True):
            kind.append(slope)
    noise = conditions.detector_noise_counts / conditions.detector_gain_counts_per_electron
    jacobian = np.array([slope.ravel() for kind in slopes for slope in kind])
    information = (jacobian / (expected + noise**2).ravel()) @ jacobian.T
    information += 1e-9 * np.trace(information) / len(information) * np.eye(len(information))
    variance = np.diag(np.linalg.inv(information))[: 2 * len(places)].reshape(2, -1).sum(axis=0)
    inner = np.all((places > _INNER_PX) & (places < _SIDE_PX - 1 - _INNER_PX), axis=1)
    inner &= class_id < subject.classes
    # A column covers about 2 sqrt(pi) times its rms width of rows, each displaced for itself.
    jitter_px2 = conditions.jitter_rms_px**2 / (2 * np.sqrt(np.pi * core_px2))
    return float(size_m * np.sqrt(np.mean(variance[inner]) + jitter_px2))


def _profile(
    place: NDArray[np.float64], core_px2: float, conditions: ImagingConditions
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Share of the probe in every pixel, and its derivatives by the place along y and x."""
    y, x = np.mgrid[:_SIDE_PX, :_SIDE_PX] - place[:, None, None]
    shape, slope = np.zeros(y.shape), np.zeros(y.shape)
    tail_px2 = core_px2 * conditions.tail_width_ratio**2
    for share, width_px2 in ((1 - conditions.tail_fraction, core_px2), (conditions.tail_fraction, tail_px2)):
        part = share * np.exp(-(y * y + x * x) / (2 * width_px2)) / (2 * np.pi * width_px2)
        shape += part
        slope += part / width_px2
    return shape, y * slope, x * slope
