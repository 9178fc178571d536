"""Networks with weights that one generator alone decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, cast

import torch
from torch import nn

__all__ = ["with_fresh_weights"]


class _Initialisable(Protocol):
    def initialise(self, generator: torch.Generator) -> None: ...


_Network = TypeVar("_Network", bound=nn.Module)


def with_fresh_weights(make: Callable[[], _Network], generator: torch.Generator) -> _Network:
    """A network with fresh weights, in channels-last layout (twice as fast on CPUs).

    Args:
        make: builds it; it draws its weights in `initialise(generator)`.
        generator: the only source of chance; torch's global one is left alone.
    """
    # Layers fill themselves from the global generator when they are made, unless they have no memory yet.
    with torch.device("meta"):
        network = make()
    network.to_empty(device="cpu")
    cast("_Initialisable", network).initialise(generator)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
