"""How wrong heat maps are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Called as ``loss(logits, targets, weights)``, all (batch, n_classes, ny, nx); gives a scalar."""

_FOCUS = 2.0


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean weighted binary cross-entropy, targets in [0, 1]."""
    return functional.binary_cross_entropy_with_logits(logits, targets, weight=weights)


def focal(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The same, each pixel weighted by its squared error besides.

    Quality focal loss for continuous targets (Li et al., NeurIPS 2020); for targets of 0 and 1 it is that of
    Lin et al., ICCV 2017.
    """
    error = (torch.sigmoid(logits) - targets).abs() ** _FOCUS
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (weights * error * entropy).mean()


LOSSES: Mapping[str, Loss] = MappingProxyType({"bce": cross_entropy, "focal": focal})
