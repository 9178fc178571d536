"""Networks (torch): architecture, weights as safetensors, ensemble inference."""

from __future__ import annotations

from ._ensemble import Ensemble, Inference
from ._unet import UNet, build_network
from ._weights import load_weights, weights_to_bytes

__all__ = ["Ensemble", "Inference", "UNet", "build_network", "load_weights", "weights_to_bytes"]
