"""Make a checkpoint as AtomAI saves one, and what its network says to an image.

Run by an interpreter that has AtomAI, or what stands in for it:

    python make_atomai_file.py FOLDER CLASSES

Writes `segmentor.tar`, and `expected.npz`: `image` (ny, nx), scaled to 0..1, and `shares` (classes, ny, nx).
"""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

CONVERTERS = Path(__file__).resolve().parents[2] / "model_registry" / "converters"


def main(folder: Path, classes: int) -> None:
    """Take a few steps of training, so that neither batch statistics nor the optimiser are empty."""
    warnings.simplefilter("ignore")
    sys.path.append(str(CONVERTERS))
    importlib.import_module("torchvision_stand_in").stand_in_for_torchvision()
    torch.manual_seed(1)
    torch.set_num_threads(1)
    # By name: who checks types need not have it.
    segmentor = importlib.import_module("atomai.models").Segmentor(
        "Unet", classes, nb_filters=4, layers=[1, 2, 2, 2]
    )
    net = segmentor.net.cpu().train()
    segmentor.optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    images = torch.rand(4, 1, 32, 32)
    for _ in range(5):
        segmentor.optimizer.zero_grad()
        net(images).square().mean().backward()
        segmentor.optimizer.step()
    segmentor.meta_state_dict["weights"] = net.state_dict()
    segmentor.save_model(str(folder / "segmentor"))
    image = np.random.default_rng(2).random((40, 48)).astype(np.float32)
    image = (image - image.min()) / (image.max() - image.min())
    with torch.no_grad():
        logits = net.eval()(torch.from_numpy(image)[None, None])[0]
    shares = logits.softmax(0) if classes > 1 else logits.sigmoid()
    np.savez(folder / "expected.npz", image=image, shares=shares.numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
