"""The default network of AtomAI in plain PyTorch, layer by layer as its checkpoints name them.

Stands in where AtomAI is not installed. Has its published layout and none of its code.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Segmentor"]


class _Block(nn.Module):
    def __init__(self, layers: int, n_in: int, n_out: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for index in range(layers):
            parts += [
                nn.Conv2d(n_out if index else n_in, n_out, 3, 1, 1),
                nn.LeakyReLU(0.01),
                nn.BatchNorm2d(n_out),
            ]
        self.block = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class _Up(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(functional.interpolate(x, scale_factor=2, mode="bilinear"))


class _Unet(nn.Module):
    def __init__(self, classes: int, n: int, layers: list[int]) -> None:
        super().__init__()
        self.c1 = _Block(layers[0], 1, n)
        self.c2 = _Block(layers[1], n, 2 * n)
        self.c3 = _Block(layers[2], 2 * n, 4 * n)
        self.bn = _Block(layers[3], 4 * n, 8 * n)
        self.upsample_block1, self.c4 = _Up(8 * n, 4 * n), _Block(layers[2], 8 * n, 4 * n)
        self.upsample_block2, self.c5 = _Up(4 * n, 2 * n), _Block(layers[1], 4 * n, 2 * n)
        self.upsample_block3, self.c6 = _Up(2 * n, n), _Block(layers[0], 2 * n, n)
        self.px = nn.Conv2d(n, classes, 1, 1, 0)

    def forward(self, x: Tensor) -> Tensor:
        c1 = self.c1(x)
        c2 = self.c2(functional.max_pool2d(c1, 2, 2))
        c3 = self.c3(functional.max_pool2d(c2, 2, 2))
        u = self.upsample_block1(self.bn(functional.max_pool2d(c3, 2, 2)))
        u = self.upsample_block2(self.c4(torch.cat([c3, u], 1)))
        u = self.upsample_block3(self.c5(torch.cat([c2, u], 1)))
        return self.px(self.c6(torch.cat([c1, u], 1)))


class Segmentor:
    """What the converter uses of AtomAI's class of this name, and how that one saves.

    Args:
        model: only `Unet`.
        nb_classes: outputs of the network.
        described: what AtomAI writes beside the weights.
    """

    def __init__(self, model: str, nb_classes: int, **described: Any) -> None:
        self.net = _Unet(nb_classes, described.get("nb_filters", 16), described.get("layers", [1, 2, 2, 3]))
        self.optimizer: torch.optim.Optimizer | None = None
        self.meta_state_dict: dict[str, Any] = {
            "model_type": "seg",
            "model": model,
            "nb_classes": nb_classes,
            "batch_norm": True,
            "dropout": False,
            "upsampling": "bilinear",
            "with_dilation": False,
            "nb_filters": described.get("nb_filters", 16),
            "layers": described.get("layers", [1, 2, 2, 3]),
            "weights": self.net.state_dict(),
        }

    def save_model(self, filename: str) -> None:
        """As AtomAI does: a pickled dictionary, the optimiser object within it."""
        self.meta_state_dict["optimizer"] = self.optimizer
        torch.save(self.meta_state_dict, filename + ".tar")  # noqa: TID251 - the format that is converted
