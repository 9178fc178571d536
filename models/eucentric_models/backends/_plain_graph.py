"""One network of plain operators only, for compilers of small devices (hls4ml, FINN).

They know convolutions, ReLU, pooling, nearest-neighbour resizing and concatenation, of one fixed shape. So
the folding of pixels goes into the first convolution, which it equals; unfolding and sigmoid are left to the
host (:func:`maps_of_folded`); and each group normalisation becomes a fixed scale and offset in its
convolution, from the statistics of calibration frames. That last step is no identity: it costs what differs
between frames, and must be measured (docs/edge.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..network_spec import NetworkSpec
from ._frame_shape import reflected, whole_size
from ._graph_writer import GraphWriter
from ._onnx_graph import IMAGES
from ._source import EnsembleSource

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["FOLDED_LOGITS", "changed_pixels", "maps_of_folded", "plain_graph"]

FOLDED_LOGITS = "folded_logits"

# What QONNX 1.0 and hls4ml 1.3 read.
_OPSET, _IR_VERSION = 13, 8
_FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class _Affine:
    """What a convolution and the normalisation behind it come to.

    Attributes:
        weight: (channels out, channels in, ky, kx).
        bias: (channels out,).
    """

    weight: _FloatArray
    bias: _FloatArray


def plain_graph(source: EnsembleSource, images: Sequence[_FloatArray], shape: tuple[int, int]) -> ModelProto:
    """The graph of the first member: `Conv`, `Relu`, `MaxPool`, `Resize`, `Concat`; `Add` in a `resunet`.

    Input `images` (1, 1, ny, nx) float32; output `folded_logits` (1, n_classes * stem_factor²,
    ny / stem_factor, nx / stem_factor), for :func:`maps_of_folded`.

    Args:
        source: architecture and weights.
        images: (ny, nx) each, normalised, like those to come: group normalisations get their mean statistics.
        shape: `(ny, nx)` of what the device will be given, multiples of `spec.size_multiple`.

    Raises:
        ValueError: there are no images, or the shape does not fit.
        WeightsError: the weights do not fit the architecture.
        ImportError: the extra `onnx` is not installed.
    """
    multiple = source.spec.size_multiple
    if not images:
        raise ValueError("no calibration images; at least one is needed")
    if any(side < multiple or side % multiple for side in shape):
        raise ValueError(f"shape {shape} is not a multiple of {multiple}")
    return _Writer(source.spec, _affine_layers(source, images)).graph(shape)


def maps_of_folded(folded_logits: _FloatArray, spec: NetworkSpec) -> _FloatArray:
    """What the host does with an answer of the device.

    Args:
        folded_logits: (1, n_classes * stem_factor², ny / stem_factor, nx / stem_factor).
        spec: of the network.

    Returns:
        (n_classes, ny, nx) probabilities.
    """
    factor, (_, _, ny, nx) = spec.stem_factor, folded_logits.shape
    blocks = folded_logits.reshape(spec.n_classes, factor, factor, ny, nx)
    logits = blocks.transpose(0, 3, 1, 4, 2).reshape(spec.n_classes, ny * factor, nx * factor)
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def changed_pixels(source: EnsembleSource, graph: ModelProto, images: Sequence[_FloatArray]) -> float:
    """The share of pixels that one says are on a column and the other says are not (probability 0.5).

    Args:
        source: what the graph was made of.
        graph: of :func:`plain_graph`.
        images: (ny, nx) each, normalised, of the shape of the graph; at least one.

    Raises:
        ImportError: the extra `onnx` is not installed.
    """
    import torch
    from onnxruntime import InferenceSession

    session = InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    network = source.networks()[0]
    changed = []
    for image in images:
        (folded,) = session.run([FOLDED_LOGITS], {IMAGES: image[None, None]})
        with torch.inference_mode():
            expected = network(torch.from_numpy(image)[None, None])[0].numpy() > 0
        changed.append(np.mean((maps_of_folded(folded, source.spec) > 0.5) != expected))
    return float(np.mean(changed))


def _affine_layers(source: EnsembleSource, images: Sequence[_FloatArray]) -> Mapping[str, _Affine]:
    """Each convolution by its path, with the normalisation behind it at its mean statistics."""
    import torch
    from torch import nn

    network = source.networks()[0]
    moments: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}

    def watch(path: str, module: nn.GroupNorm) -> None:
        def note(_module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            groups = given[0].reshape(module.num_groups, -1)
            moments.setdefault(path, []).append((groups.mean(dim=1), groups.var(dim=1, unbiased=False)))

        module.register_forward_pre_hook(note)

    for path, module in network.named_modules():
        if isinstance(module, nn.GroupNorm):
            watch(path, module)
    multiple = source.spec.size_multiple
    with torch.inference_mode():
        for image in images:
            network(torch.from_numpy(reflected(image, whole_size(image.shape, multiple)))[None, None])
        layers = {}
        modules = dict(network.named_modules())
        for path, module in modules.items():
            if not isinstance(module, nn.Conv2d):
                continue
            weight = module.weight
            bias = torch.zeros(weight.shape[0]) if module.bias is None else module.bias
            norm = modules.get(f"{path}_norm")
            if isinstance(norm, nn.GroupNorm):
                width = norm.num_channels // norm.num_groups
                mean, variance = (
                    torch.stack(each).mean(dim=0).repeat_interleave(width)
                    for each in zip(*moments[f"{path}_norm"], strict=True)
                )
                scale = norm.weight / torch.sqrt(variance + norm.eps)
                weight, bias = weight * scale[:, None, None, None], norm.bias + (bias - mean) * scale
            layers[path] = _Affine(weight.contiguous().numpy(), bias.numpy())
    return layers


def _unfolding(layer: _Affine, factor: int) -> _FloatArray:
    """Weights on pixels that equal these on folded ones: a kernel `factor` times as wide, which strides."""
    out, _, ky, kx = layer.weight.shape
    blocks = layer.weight.reshape(out, factor, factor, ky, kx)
    return blocks.transpose(0, 3, 1, 4, 2).reshape(out, 1, ky * factor, kx * factor)


class _Writer(GraphWriter):
    """Nodes and weights, in order."""

    def __init__(self, spec: NetworkSpec, layers: Mapping[str, _Affine]) -> None:
        super().__init__()
        self._spec = spec
        self._layers = layers

    def graph(self, shape: tuple[int, int]) -> ModelProto:
        """All of it, for frames of one shape."""
        import onnx
        from onnx import TensorProto, helper

        spec = self._spec
        self._tensor("up", np.array([1, 1, 2, 2], np.float32))
        # Has no meaning here; hls4ml fails where it is left out, and where it is empty.
        self._tensor("roi", np.zeros(1, np.float32))
        skips: list[str] = []
        features = IMAGES
        for level in range(spec.depth + 1):
            if level:
                features = self._node(
                    "MaxPool", [features], f"pooled{level}", kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4
                )
            features = self._block(f"encoder.{level}", features, on_pixels=level == 0)
            skips.append(features)
        for level in reversed(range(spec.depth)):
            upsampled = self._node(
                "Resize",
                [features, "roi", "up"],
                f"up{level}",
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
            joined = self._node("Concat", [upsampled, skips[level]], f"joined{level}", axis=1)
            features = self._block(f"decoder.{level}", joined)
        self._convolved("head", features, FOLDED_LOGITS)
        factor = spec.stem_factor
        folded = [1, spec.n_classes * factor**2, *(side // factor for side in shape)]
        model = helper.make_model(
            helper.make_graph(
                self._nodes,
                "plain",
                [helper.make_tensor_value_info(IMAGES, TensorProto.FLOAT, [1, 1, *shape])],
                [helper.make_tensor_value_info(FOLDED_LOGITS, TensorProto.FLOAT, folded)],
                self._tensors,
            ),
            opset_imports=[helper.make_opsetid("", _OPSET)],
            producer_name="eucentric",
        )
        model.ir_version = _IR_VERSION
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _block(self, path: str, features: str, *, on_pixels: bool = False) -> str:
        kind = self._spec.kind
        if kind == "fast":
            return self._relu(self._convolved(f"{path}.only", features, on_pixels=on_pixels))
        inner = self._relu(self._convolved(f"{path}.first", features, on_pixels=on_pixels))
        outer = self._convolved(f"{path}.second", inner)
        if kind == "resunet":
            shortcut = self._convolved(f"{path}.shortcut", features, on_pixels=on_pixels)
            outer = self._node("Add", [outer, shortcut], f"{outer}.sum")
        return self._relu(outer)

    def _convolved(
        self, path: str, features: str, name: str | None = None, *, on_pixels: bool = False
    ) -> str:
        layer, stride = self._layers[path], self._spec.stem_factor if on_pixels else 1
        pad = layer.weight.shape[-1] // 2 * stride
        weight = _unfolding(layer, stride) if on_pixels else layer.weight
        inputs = [
            features,
            self._tensor(f"{path}.weight", weight),
            self._tensor(f"{path}.bias", layer.bias),
        ]
        return self._node(
            "Conv",
            inputs,
            name or path,
            kernel_shape=list(weight.shape[2:]),
            strides=[stride] * 2,
            pads=[pad] * 4,
            dilations=[1, 1],
            group=1,
        )
