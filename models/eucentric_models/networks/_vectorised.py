"""Members side by side: an ensemble in one call, for accelerators that a small network leaves idle."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from ._unet import UNet


class VectorisedMembers(nn.Module):
    """Members of one architecture as one network with stacked weights (``torch.func.vmap``).

    On a CPU the members one after another are faster; this is for a GPU, which they are too small to fill.

    Args:
        members: at least one, all of one architecture.

    Raises:
        ValueError: there is none, or the architectures differ.
    """

    def __init__(self, members: Sequence[UNet]) -> None:
        super().__init__()
        if not members or len({member.spec for member in members}) != 1:
            raise ValueError("members must be at least one, all of one architecture")
        weights, _ = stack_module_state(list(members))
        self._names = tuple(weights)
        self._weights = nn.ParameterList([weights[name].detach() for name in self._names])
        with torch.device("meta"):
            skeleton = UNet(members[0].spec)
        # In a tuple, so that it is no part of this module: it has no weights of its own.
        self._skeleton = (_Both(skeleton.eval()),)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and embeddings of every member.

        Args:
            images: (batch, 1, ny, nx), as one network takes them.

        Returns:
            (members, batch, n_classes, ny, nx) and (members, batch, embedding_size).
        """
        weights = dict(zip(self._names, self._weights, strict=True))

        def member(own: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
            parameters = {f"network.{name}": value for name, value in own.items()}
            return functional_call(self._skeleton[0], parameters, (images,))

        return torch.func.vmap(member, randomness="error")(weights)


class _Both(nn.Module):
    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.forward_with_embedding(images)
