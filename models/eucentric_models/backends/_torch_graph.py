"""The ensemble as one torch module: members as branches, their statistics behind them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..networks import UNet

__all__ = ["EnsembleGraph"]


class EnsembleGraph(nn.Module):
    """All that :class:`EnsembleOutput` holds, in float32 whatever the members compute in.

    Args:
        members: at least one, all of one architecture.
    """

    def __init__(self, members: Sequence[UNet]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Maps, deviation, strongest and embedding.

        Args:
            images: (batch, 1, ny, nx); sides multiples of ``spec.size_multiple``.
        """
        outputs = [member.forward_with_embedding(images) for member in self.members]  # type: ignore[operator]
        members = torch.stack([torch.sigmoid(logits.float()) for logits, _ in outputs])
        mean = members.mean(dim=0)
        # Tensor.std over the first axis takes longer on a CPU than all the networks together.
        deviation = (members - mean).square().mean(dim=0).sqrt().amax(dim=1)
        strongest = members.amax(dim=2).transpose(0, 1)
        embedding = torch.cat([pooled.float() for _, pooled in outputs], dim=1)
        return mean, deviation, strongest, embedding
