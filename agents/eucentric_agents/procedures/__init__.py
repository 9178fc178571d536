"""Instrument procedures on the vocabulary: montage, drive to feature, corrected moves.

Written against `eucentric_core.Microscope`, they run beside the instrument and from far away unchanged.
"""

from __future__ import annotations

from ._beam_feedback import BeamFeedback, BeamVisit, FeedbackPlan
from ._checkpoint import Checkpoint, StepRecord
from ._control import Progress, RunControl
from ._corrected_move import corrected_move
from ._direct import DirectMicroscope, RecentFrames
from ._drive import DriveToFeature
from ._drive_plan import DrivePlan, DriveResult, FeatureVisit
from ._errors import (
    BlankingFailedError,
    CheckpointError,
    ExposureCutShortError,
    FeatureNotReachedError,
    ProcedureAbortedError,
)
from ._exposure import Exposure
from ._geometry import StageGeometry
from ._matching import Matching
from ._montage import Montage, assemble
from ._montage_plan import MontagePlan, TilePlace
from ._montage_result import MontageResult, MontageTile, TilePair
from ._particles import find_particles
from ._positions import Solution, solve_positions
from ._registration import Registration, register
from ._run import Procedure, ProgressCallback, Steps, run
from ._spectra import EnergyWindow, SpectrumExposure, window_share
from ._stage_facts import StageFacts
from ._stitch import stitch
from ._survey_spectroscopy import SurveyPlan, SurveyResult, SurveySpectroscopy
from ._unstage import unstage, unstaged

__all__ = [
    "BeamFeedback",
    "BeamVisit",
    "BlankingFailedError",
    "Checkpoint",
    "CheckpointError",
    "DirectMicroscope",
    "DrivePlan",
    "DriveResult",
    "DriveToFeature",
    "EnergyWindow",
    "Exposure",
    "ExposureCutShortError",
    "FeatureNotReachedError",
    "FeatureVisit",
    "FeedbackPlan",
    "Matching",
    "Montage",
    "MontagePlan",
    "MontageResult",
    "MontageTile",
    "Procedure",
    "ProcedureAbortedError",
    "Progress",
    "ProgressCallback",
    "RecentFrames",
    "Registration",
    "RunControl",
    "Solution",
    "SpectrumExposure",
    "StageFacts",
    "StageGeometry",
    "StepRecord",
    "Steps",
    "SurveyPlan",
    "SurveyResult",
    "SurveySpectroscopy",
    "TilePair",
    "TilePlace",
    "assemble",
    "corrected_move",
    "find_particles",
    "register",
    "run",
    "solve_positions",
    "stitch",
    "unstage",
    "unstaged",
    "window_share",
]
