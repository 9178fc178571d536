"""Engines: what reads a model and answers an image, a spectrum or a series with it.

An engine is registered by the entry point group `eucentric.engines`; every bundle names its engine. Importing
this package imports no torch: an engine does so when it opens a model.
"""

from __future__ import annotations

from ..result_columns import Column, position_columns
from ._description import MODEL_FILE, ModelDescription, read_description
from ._draft import BundleDraft
from ._errors import EngineError
from ._findings import Findings
from ._golden import read_plain_array, require_golden_answers
from ._live import DescribedLiveModel, LiveAnswer, LiveModel, PortableModel, SupportedModel, live_answers
from ._protocols import Engine, EngineModel, EngineResult
from ._registry import engine_named, engines
from ._shipped import shipped_folder, shipped_models
from ._write import write_model_folder

__all__ = [
    "MODEL_FILE",
    "BundleDraft",
    "Column",
    "DescribedLiveModel",
    "Engine",
    "EngineError",
    "EngineModel",
    "EngineResult",
    "Findings",
    "LiveAnswer",
    "LiveModel",
    "ModelDescription",
    "PortableModel",
    "SupportedModel",
    "engine_named",
    "engines",
    "live_answers",
    "position_columns",
    "read_description",
    "read_plain_array",
    "require_golden_answers",
    "shipped_folder",
    "shipped_models",
    "write_model_folder",
]
