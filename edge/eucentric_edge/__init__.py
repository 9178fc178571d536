"""Inference beside the microscope: verify, swap and serve signed models, notice when they stop fitting."""

from __future__ import annotations

from ._bundle_trust import BundleTrust, KeyTrust, ReleasedTrust
from ._drift_monitor import DriftEpisode, DriftGates, DriftState, Observation, observe
from ._errors import FrameRefusedError, ModelLostError
from ._installed_state import InstalledState
from ._installer import Installation, Installer
from ._model_loader import load_serving_model
from ._model_slot import ModelSlot
from ._opener import HereOpener, ModelOpener
from ._serving_model import FrameAnswer, ServingModel

__all__ = [
    "BundleTrust",
    "DriftEpisode",
    "DriftGates",
    "DriftState",
    "FrameAnswer",
    "FrameRefusedError",
    "HereOpener",
    "Installation",
    "InstalledState",
    "Installer",
    "KeyTrust",
    "ModelLostError",
    "ModelOpener",
    "ModelSlot",
    "Observation",
    "ReleasedTrust",
    "ServingModel",
    "load_serving_model",
    "observe",
]
