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
        members = [torch.sigmoid(logits.float()) for logits, _ in outputs]
        count = len(members)
        mean = sum(members[1:], members[0]) / count
        squares = [(member - mean).square() for member in members]
        variance = sum(squares[1:], squares[0]) / count
        strongest = torch.stack([member.amax(dim=1) for member in members], dim=1)
        embedding = torch.cat([pooled.float() for _, pooled in outputs], dim=1)
        return mean, variance.amax(dim=1).sqrt(), strongest, embedding
