"""The flows, each in a module of its own. Imports without Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._beam_feedback import BEAM_FEEDBACK, FeedbackRequest
from ._data import ARCHIVE, INGEST, ArchiveRequest, IngestRequest
from ._drive_to_feature import DRIVE_TO_FEATURE, DriveRequest
from ._evaluate import EVALUATE, EvaluateRequest
from ._few_shot import FEW_SHOT, SupportSetRequest
from ._flight_check import FLIGHT_CHECK, FlightCheckRequest
from ._instrument import InstrumentRequest
from ._montage import MONTAGE, MontageRequest
from ._moving import INSTALL, PUBLISH, ROLLBACK, InstallRequest, PublishRequest, RollbackRequest
from ._retrain import RETRAIN
from ._spec import FlowRequest, FlowSpec, Running
from ._survey_spectroscopy import SURVEY_SPECTROSCOPY, SurveyRequest

__all__ = [
    "FLOWS",
    "ArchiveRequest",
    "DriveRequest",
    "EvaluateRequest",
    "FeedbackRequest",
    "FlightCheckRequest",
    "FlowRequest",
    "FlowSpec",
    "IngestRequest",
    "InstallRequest",
    "InstrumentRequest",
    "MontageRequest",
    "PublishRequest",
    "RollbackRequest",
    "Running",
    "SupportSetRequest",
    "SurveyRequest",
]

_ALL: tuple[FlowSpec[Any], ...] = (
    RETRAIN,
    FEW_SHOT,
    EVALUATE,
    PUBLISH,
    INSTALL,
    ROLLBACK,
    INGEST,
    ARCHIVE,
    FLIGHT_CHECK,
    MONTAGE,
    DRIVE_TO_FEATURE,
    SURVEY_SPECTROSCOPY,
    BEAM_FEEDBACK,
)

FLOWS: Mapping[str, FlowSpec[Any]] = {spec.name: spec for spec in _ALL}
"""By name. A new flow is a module with a `FlowSpec`, and its name in the line above."""
