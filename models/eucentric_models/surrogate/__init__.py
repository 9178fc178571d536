"""Surrogates: from patches of an image to a property that is slow to measure, and where to measure next.

The Gaussian process needs torch and gpytorch: :mod:`eucentric_models.surrogate.process` is never imported
from here.
"""

from __future__ import annotations

from ._acquisition import (
    ACQUISITIONS,
    Acquisition,
    expected_improvement,
    max_variance,
    upper_confidence_bound,
)
from ._explore import AcquisitionLog, AcquisitionRecord, Surrogate, explore
from ._landscape import PropertyLandscape, simulate_landscape
from ._patches import PatchGrid, patches_at
from ._plasmon import PIXEL_SIZE_M, dipole_plasmon_intensity, simulate_plasmon_landscape
from ._property_map import PropertyMap
from ._spec import SurrogateSpec

__all__ = [
    "ACQUISITIONS",
    "PIXEL_SIZE_M",
    "Acquisition",
    "AcquisitionLog",
    "AcquisitionRecord",
    "PatchGrid",
    "PropertyLandscape",
    "PropertyMap",
    "Surrogate",
    "SurrogateSpec",
    "dipole_plasmon_intensity",
    "expected_improvement",
    "explore",
    "max_variance",
    "patches_at",
    "simulate_landscape",
    "simulate_plasmon_landscape",
    "upper_confidence_bound",
]
