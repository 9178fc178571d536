"""INT8 for small edge devices: static quantisation, calibrated on frames, by ONNX Runtime's quantiser.

Convolutions get 8-bit weights (one scale for each output channel) and 8-bit inputs whose range is what was
seen on the calibration frames; everything else stays float32. What it costs in accuracy depends on the model
and must be measured: docs/edge.md.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._failures import failing_as_backend_error, missing_packages, require_available
from ._frame_shape import FrameShape, reflected, whole_size
from ._onnx_graph import IMAGES, onnx_graph
from ._onnxruntime import OnnxRuntimeBackend
from ._openvino import OpenVinoBackend
from ._protocols import CompiledEnsemble, Precision
from ._source import EnsembleSource

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["QuantisedBackend", "quantised_graph"]

MAX_CALIBRATION_IMAGES = 64


@dataclass(frozen=True)
class QuantisedBackend:
    """A CPU back end on a graph that is quantised when it is compiled; see :class:`Backend`.

    Attributes:
        runtime: `openvino` or `onnxruntime`, which compute the quantised graph.
        images: (ny, nx) float32 each, normalised as the network takes them; frames like those to come.
        tolerance: of one probability; INT8 changes some pixels much more than others.
    """

    runtime: OpenVinoBackend | OnnxRuntimeBackend
    images: tuple[NDArray[np.float32], ...]
    tolerance: float = 0.5
    precision: Precision = "int8"

    @property
    def name(self) -> str:
        """For example `openvino-int8`."""
        return f"{self.runtime.name}-int8"

    def unavailable(self) -> str | None:
        """Why it cannot be used here."""
        return self.runtime.unavailable() or missing_packages("onnxruntime", "onnx")

    def compile(
        self, source: EnsembleSource, *, shape: tuple[int, int], batch: int = 1, threads: int = 1
    ) -> CompiledEnsemble:
        """See :class:`Backend`."""
        require_available(self.name, self.unavailable())
        frame = FrameShape.checked(source, shape, batch, threads)
        graph = quantised_graph(source, self.images)
        return self.runtime.session(graph.SerializeToString(), frame, threads)


def quantised_graph(source: EnsembleSource, images: Sequence[NDArray[np.float32]]) -> ModelProto:
    """The graph of :func:`onnx_graph` with quantised convolutions (QDQ nodes, opset 21).

    Args:
        source: architecture and weights.
        images: normalised, each as for :class:`QuantisedBackend`; 1 to 64.

    Raises:
        ValueError: there are no images, or too many.
        BackendError: the quantiser failed.
        WeightsError: the weights do not fit the architecture.
    """
    if not 1 <= len(images) <= MAX_CALIBRATION_IMAGES:
        raise ValueError(f"{len(images)} calibration images; 1 to {MAX_CALIBRATION_IMAGES} are needed")
    import onnx
    from onnxruntime import quantization

    multiple = source.spec.size_multiple
    padded = [reflected(image, whole_size(image.shape, multiple)) for image in images]

    class Frames(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = list(padded)

        def get_next(self) -> dict[str, Any] | None:
            return {IMAGES: self._left.pop()[None, None]} if self._left else None

    # It says what it does through the root logger.
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with (
            failing_as_backend_error("onnxruntime quantisation"),
            tempfile.TemporaryDirectory(prefix="eucentric-int8-") as scratch,
        ):
            target = Path(scratch) / "int8.onnx"
            quantization.quantize_static(
                onnx_graph(source),
                target,
                Frames(),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                extra_options={"QuantizeBias": False},
            )
            return onnx.load(target)
    finally:
        root.setLevel(level)
