"""A plain network goes through hls4ml and QONNX.

With EUCENTRIC_HLS4ML_PYTHON, an interpreter that has hls4ml, qonnx and onnxruntime (and g++ on the path).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from eucentric_models import NetworkSpec
from eucentric_models.backends import EnsembleSource, plain_graph
from eucentric_models.networks import build_network

HLS4ML_PYTHON = os.environ.get("EUCENTRIC_HLS4ML_PYTHON")
CONVERTER = Path(__file__).parents[2] / "edge" / "converters" / "onnx_to_hls4ml.py"


@pytest.mark.skipif(HLS4ML_PYTHON is None, reason="EUCENTRIC_HLS4ML_PYTHON names no interpreter with hls4ml")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["unet", "resunet", "fast"])
def test_what_hls4ml_compiles_answers_as_the_network(
    tmp_path: Path, kind: Literal["unet", "resunet", "fast"]
) -> None:
    spec = NetworkSpec(kind=kind, n_classes=2, base_filters=4, depth=1, stem_factor=4)
    network = build_network(spec, torch.Generator().manual_seed(1)).eval()
    image = np.random.default_rng(2).normal(size=(32, 32)).astype(np.float32)
    graph = plain_graph(EnsembleSource.of_networks([network]), [image], (32, 32))
    (tmp_path / "plain.onnx").write_bytes(graph.SerializeToString())
    words = [str(HLS4ML_PYTHON), str(CONVERTER), str(tmp_path / "plain.onnx"), str(tmp_path / "project")]
    ended = subprocess.run(
        [*words, "--precision", "fixed<32,12>"], capture_output=True, text=True, check=False, timeout=500
    )
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout.splitlines()[-1])
    assert said["qonnx_off_by"] < 1e-5
    assert said["hls4ml_off_by"] < 2e-3
