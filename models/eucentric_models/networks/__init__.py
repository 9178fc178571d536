"""Networks (torch): architecture, weights as safetensors, ensemble inference, graphs for other runtimes."""

from __future__ import annotations

from ._ensemble import Ensemble, Inference
from ._export import Branches, export_onnx, export_program
from ._fresh import with_fresh_weights
from ._unet import UNet, build_network
from ._vectorised import VectorisedMembers
from ._weights import checked_tensors, load_weights, weights_to_bytes

__all__ = [
    "Branches",
    "Ensemble",
    "Inference",
    "UNet",
    "VectorisedMembers",
    "build_network",
    "checked_tensors",
    "export_onnx",
    "export_program",
    "load_weights",
    "weights_to_bytes",
    "with_fresh_weights",
]
