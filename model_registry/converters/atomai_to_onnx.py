"""Convert AtomAI segmentation weights to ONNX, once, with AtomAI's own interpreter.

    /path/to/atomai-environment/bin/python atomai_to_onnx.py segmentor_metadict_final.tar columns.onnx

It is no part of the package and imports none of it: AtomAI's checkpoints are pickles, and what they may run
runs here, in a process and an environment of its own, which has `atomai` and `onnx`. Even so only tensors and
plain values are read (`weights_only=True`): the optimiser that AtomAI puts beside its weights is replaced by
an inert stand-in. The ONNX file that comes out is data; register it with
`eucentric models import columns.onnx --classes NAME,NAME --frames FOLDER`. Where it is copied, the file
`torchvision_stand_in.py` beside it is copied, too.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings

import torch
from torch import nn
from torchvision_stand_in import stand_in_for_torchvision


class Inert:
    """Stands in for the optimiser that AtomAI pickles beside its weights: takes its state, does nothing."""


def plain(_factory: object = None) -> dict:
    """Stands in for `collections.defaultdict`, which the optimiser's state is kept in."""
    return {}


def read(path: str) -> dict:
    """The checkpoint as plain values; the optimiser is dropped."""
    stand_ins = [
        (Inert, "torch.optim.adam.Adam"),
        (Inert, "torch.optim.sgd.SGD"),
        (plain, "collections.defaultdict"),
        dict,
    ]
    with torch.serialization.safe_globals(stand_ins):
        found = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251 - see above
    if not isinstance(found, dict) or "weights" not in found or found.get("model_type") != "seg":
        raise SystemExit(f"{path} holds no AtomAI segmentation model (its model_type must be 'seg')")
    found.pop("optimizer", None)
    return found


def rebuild(found: dict) -> tuple[nn.Module, int]:
    """The network that the checkpoint describes, with its weights."""
    stand_in_for_torchvision()
    from atomai.models import Segmentor

    described = {k: v for k, v in found.items() if k not in ("weights", "model_type", "model", "nb_classes")}
    model = Segmentor(found["model"], found["nb_classes"], **described)
    model.net.load_state_dict(found["weights"])
    return model.net.cpu().eval(), int(found["nb_classes"])


def main() -> None:
    """Convert one checkpoint and print what the import asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("output", help=".onnx file to write")
    given = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net, classes = rebuild(read(given.checkpoint))
        axes = {0: "batch", 2: "ny", 3: "nx"}
        torch.onnx.export(
            net,
            (torch.zeros(1, 1, 64, 64),),
            given.output,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": axes, "logits": axes},
            opset_version=17,
            dynamo=False,
        )
    # What `eucentric models import` asks for: AtomAI scales an image to 0..1 and puts the background last.
    sys.stdout.write(
        json.dumps(
            {
                "classes": classes,
                "activation": "softmax" if classes > 1 else "sigmoid",
                "background": classes - 1 if classes > 1 else None,
                "size_multiple": 8,
            }
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
