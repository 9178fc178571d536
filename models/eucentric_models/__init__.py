"""Crystals, image formation, targets, decoding, metrics, uncertainty and drift, without torch.

Networks live in :mod:`eucentric_models.networks`, which needs torch and is never imported from here.
"""

from __future__ import annotations

from .crystal import GRAPHENE, MATERIALS, MOS2, VACANCY, Crystal, Material, build_crystal, material_named
from .decoding import DEFAULT_DECODING, Decoding, Detections, decode, local_maxima
from .demo_conditions import DEMO_CONDITIONS, DemoConditions
from .drift import DriftReference, frame_features, radial_power_spectrum
from .errors import (
    DriftReferenceError,
    InvalidFrameError,
    ModelsError,
    UnknownMaterialError,
    WeightsError,
)
from .image_formation import ImagingConditions, SimulatedFrame, expected_signal, form_frame, truth_rows
from .metrics import ClassCounts, FrameJudgement, Score, judge_frame, score_frame, total
from .network_spec import NetworkSpec
from .preprocessing import DEFAULT_PREPROCESSING, Preprocessing, check_frame, normalise
from .start_data import ConditionsSpread, LabelledFrame, simulate_frames, vary_conditions
from .targets import heat_maps
from .uncertainty import ensemble_statistics, entropy_map, expected_calibration_error, mean_entropy

__all__ = [
    "DEFAULT_DECODING",
    "DEFAULT_PREPROCESSING",
    "DEMO_CONDITIONS",
    "GRAPHENE",
    "MATERIALS",
    "MOS2",
    "VACANCY",
    "ClassCounts",
    "ConditionsSpread",
    "Crystal",
    "Decoding",
    "DemoConditions",
    "Detections",
    "DriftReference",
    "DriftReferenceError",
    "FrameJudgement",
    "ImagingConditions",
    "InvalidFrameError",
    "LabelledFrame",
    "Material",
    "ModelsError",
    "NetworkSpec",
    "Preprocessing",
    "Score",
    "SimulatedFrame",
    "UnknownMaterialError",
    "WeightsError",
    "build_crystal",
    "check_frame",
    "decode",
    "ensemble_statistics",
    "entropy_map",
    "expected_calibration_error",
    "expected_signal",
    "form_frame",
    "frame_features",
    "heat_maps",
    "judge_frame",
    "local_maxima",
    "material_named",
    "mean_entropy",
    "normalise",
    "radial_power_spectrum",
    "score_frame",
    "simulate_frames",
    "total",
    "truth_rows",
    "vary_conditions",
]
