"""Convert a network of `eucentric edge export --plain` with hls4ml, and say how far its answers are off.

    /path/to/hls4ml-environment/bin/python onnx_to_hls4ml.py columns.onnx project --precision "fixed<24,10>"

It is no part of the package and imports none of it; its environment needs `hls4ml`, `qonnx`, `onnxruntime`
and a C++ compiler. What it writes is an hls4ml project (back end Vitis), whose C simulation has been compiled
and asked here; synthesis needs the vendor's tools. QONNX and ONNX Runtime are asked for the same image first.
"""

from __future__ import annotations

import argparse
import json
import sys

import hls4ml  # type: ignore[import-not-found]
import numpy as np
import onnxruntime
from onnx import numpy_helper
from qonnx.core.modelwrapper import ModelWrapper  # type: ignore[import-not-found]
from qonnx.core.onnx_exec import execute_onnx  # type: ignore[import-not-found]
from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean  # type: ignore[import-not-found]
from qonnx.transformation.general import (  # type: ignore[import-not-found]
    GiveReadableTensorNames,
    GiveUniqueNodeNames,
)
from qonnx.util.cleanup import cleanup_model  # type: ignore[import-not-found]

CHANNELS_FIRST, CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def channels_last(model: ModelWrapper) -> ModelWrapper:
    """The same network on (batch, ny, nx, channels), which is all that hls4ml reads.

    QONNX transposes convolutions and pooling but neither `Resize` nor `Concat`: it leaves both between two
    transpositions, which are dropped here.
    """
    model = model.transform(ConvertToChannelsLastAndClean(make_input_channels_last=True))
    graph = model.graph
    source: dict[str, str] = {}
    for node in list(graph.node):
        if node.op_type == "Transpose":
            order = list(node.attribute[0].ints)
            if order not in (CHANNELS_FIRST, CHANNELS_LAST):
                sys.exit(f"a transposition that is not understood: {order}")
            source[node.output[0]] = source.get(node.input[0], node.input[0])
            graph.node.remove(node)
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = source.get(name, name)
        if node.op_type == "Concat":
            node.attribute[0].i = 3
        if node.op_type == "Resize":
            scales = next(tensor for tensor in graph.initializer if tensor.name == node.input[2])
            scales.CopyFrom(numpy_helper.from_array(np.array([1, 2, 2, 1], np.float32), scales.name))
    graph.node[-1].output[0] = graph.output[0].name
    for node in graph.node:
        if node.op_type in ("Concat", "Resize") or node.output[0] == graph.output[0].name:
            batch, channels, ny, nx = model.get_tensor_shape(node.output[0])
            model.set_tensor_shape(node.output[0], [batch, ny, nx, channels])
    # QONNX's random names may begin with a digit, and hls4ml then loses the tensor.
    return model.transform(GiveUniqueNodeNames()).transform(GiveReadableTensorNames())


def main() -> None:
    """Convert, ask, and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", help="file of `eucentric edge export --plain`")
    parser.add_argument("project", help="folder to write; should not exist")
    parser.add_argument("--precision", default="fixed<24,10>", help="of every value (default: %(default)s)")
    parser.add_argument("--io", default="io_stream", choices=("io_stream", "io_parallel"))
    parser.add_argument("--image", help=".npy, normalised, of the shape of the network; default: noise")
    options = parser.parse_args()

    model = cleanup_model(ModelWrapper(options.network))
    given, asked = model.graph.input[0].name, model.graph.output[0].name
    shape = model.get_tensor_shape(given)
    if options.image is None:
        image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    else:
        image = np.load(options.image, allow_pickle=False).astype(np.float32).reshape(shape)
    session = onnxruntime.InferenceSession(options.network, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {session.get_inputs()[0].name: image})
    by_qonnx = execute_onnx(model, {given: image})[asked]

    last = channels_last(model)
    config = hls4ml.utils.config.config_from_onnx_model(
        last, granularity="name", backend="Vitis", default_precision=options.precision
    )
    project = hls4ml.converters.convert_from_onnx_model(
        last, output_dir=options.project, io_type=options.io, hls_config=config, backend="Vitis"
    )
    project.compile()
    simulated = project.predict(np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
    simulated = simulated.reshape(expected.transpose(0, 2, 3, 1).shape).transpose(0, 3, 1, 2)

    def off(found: np.ndarray) -> float:
        """The largest error of a probability."""
        return float(np.abs(1 / (1 + np.exp(-found)) - 1 / (1 + np.exp(-expected))).max())

    said = {
        "operators": sorted({node.op_type for node in last.graph.node}),
        "precision": options.precision,
        "largest_probability": float((1 / (1 + np.exp(-expected))).max()),
        "qonnx_off_by": off(by_qonnx),
        "hls4ml_off_by": off(simulated),
        "hls4ml_logits_off_by": float(np.abs(simulated - expected).max()),
    }
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
