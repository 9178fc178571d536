"""Crystals, image formation, targets, decoding, metrics, uncertainty and drift, without torch.

Networks live in :mod:`eucentric_models.networks`, which needs torch and is never imported from here.
"""

from __future__ import annotations

from .calibration import Calibration, fit_calibration
from .contamination import Contamination
from .crystal import Crystal, ProjectedColumns, build_crystal
from .decoding import DEFAULT_DECODING, Decoding, Detections, decode, local_maxima
from .demo_conditions import DEMO_CONDITIONS, DemoConditions
from .drift import DriftReference, frame_features, radial_power_spectrum
from .drift_window import WindowVerdict, conformal_limit, judge_window
from .errors import (
    DriftReferenceError,
    InvalidFrameError,
    InvalidSpectraError,
    ModelsError,
    UnknownMaterialError,
    WeightsError,
)
from .image_formation import (
    CROSS_SECTION_M2_PER_WEIGHT,
    ELEMENTARY_CHARGE_C,
    ImagingConditions,
    SimulatedFrame,
    expected_signal,
    form_frame,
    truth_rows,
)
from .landscape import LANDSCAPE_CLASSES, Landscape, LandscapeRecipe
from .landscape_image import form_landscape_frame, landscape_signal
from .lattice_prior import LatticePrior, fit_lattice_prior, settled
from .lattice_scale import guessed_pixel_size_m, strongest_spacing_px
from .material import GRAPHENE, MATERIALS, MOS2, SRTIO3, VACANCY, Material, Site, material_named
from .metrics import ClassCounts, FrameJudgement, Score, judge_frame, score_frame, total
from .network_spec import NetworkSpec
from .plain_array import read_npy
from .preprocessing import DEFAULT_PREPROCESSING, Preprocessing, at_working_size, check_frame, normalise
from .projected_lattice import ProjectedLattice, draw_lattice
from .resampling import resample, rescaled_positions
from .scan_distortion import ScanDistortion
from .start_conditions import StartConditions, conditions_for
from .start_data import (
    START_MATERIALS,
    ConditionsSpread,
    KnownCrystal,
    LabelledFrame,
    StartMaterial,
    simulate_frames,
    start_material_named,
    vary_conditions,
)
from .targets import heat_maps
from .uncertainty import ensemble_statistics, entropy_map, expected_calibration_error, mean_entropy
from .unknown_crystal import UnknownCrystal
from .view import View

__all__ = [
    "CROSS_SECTION_M2_PER_WEIGHT",
    "DEFAULT_DECODING",
    "DEFAULT_PREPROCESSING",
    "DEMO_CONDITIONS",
    "ELEMENTARY_CHARGE_C",
    "GRAPHENE",
    "LANDSCAPE_CLASSES",
    "MATERIALS",
    "MOS2",
    "SRTIO3",
    "START_MATERIALS",
    "VACANCY",
    "Calibration",
    "ClassCounts",
    "ConditionsSpread",
    "Contamination",
    "Crystal",
    "Decoding",
    "DemoConditions",
    "Detections",
    "DriftReference",
    "DriftReferenceError",
    "FrameJudgement",
    "ImagingConditions",
    "InvalidFrameError",
    "InvalidSpectraError",
    "KnownCrystal",
    "LabelledFrame",
    "Landscape",
    "LandscapeRecipe",
    "LatticePrior",
    "Material",
    "ModelsError",
    "NetworkSpec",
    "Preprocessing",
    "ProjectedColumns",
    "ProjectedLattice",
    "ScanDistortion",
    "Score",
    "SimulatedFrame",
    "Site",
    "StartConditions",
    "StartMaterial",
    "UnknownCrystal",
    "UnknownMaterialError",
    "View",
    "WeightsError",
    "WindowVerdict",
    "at_working_size",
    "build_crystal",
    "check_frame",
    "conditions_for",
    "conformal_limit",
    "decode",
    "draw_lattice",
    "ensemble_statistics",
    "entropy_map",
    "expected_calibration_error",
    "expected_signal",
    "fit_calibration",
    "fit_lattice_prior",
    "form_frame",
    "form_landscape_frame",
    "frame_features",
    "guessed_pixel_size_m",
    "heat_maps",
    "judge_frame",
    "judge_window",
    "landscape_signal",
    "local_maxima",
    "material_named",
    "mean_entropy",
    "normalise",
    "radial_power_spectrum",
    "read_npy",
    "resample",
    "rescaled_positions",
    "score_frame",
    "settled",
    "simulate_frames",
    "start_material_named",
    "strongest_spacing_px",
    "total",
    "truth_rows",
    "vary_conditions",
]
