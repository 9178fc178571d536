"""What is compiled: the architecture and the weights of each member, checked against each other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .._run_moments import at_next_run
from ..network_spec import NetworkSpec

if TYPE_CHECKING:
    from torch import Tensor

    from ..networks import UNet

__all__ = ["EnsembleSource"]


@dataclass(frozen=True)
class EnsembleSource:
    """An ensemble as files hold it; one member is an ensemble of one.

    Attributes:
        spec: architecture of every member.
        members: one safetensors blob per member, at least one.

    Raises:
        ValueError: there is no member.
    """

    spec: NetworkSpec
    members: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not self.members:
            raise ValueError("an ensemble needs at least one member")

    def __len__(self) -> int:
        return len(self.members)

    @classmethod
    def of_networks(cls, networks: Sequence[UNet]) -> EnsembleSource:
        """The ensemble of networks that are in memory.

        Raises:
            ValueError: there is none, or the architectures differ.
        """
        from ..networks import weights_to_bytes

        if len({network.spec for network in networks}) != 1:
            raise ValueError("members must be at least one, all of one architecture")
        return cls(networks[0].spec, tuple(weights_to_bytes(network) for network in networks))

    def networks(self) -> tuple[UNet, ...]:
        """The members as torch modules of this caller's own, in evaluation mode.

        Raises:
            WeightsError: a blob is unreadable or does not fit the architecture.
        """
        from ..networks import load_weights

        return tuple(load_weights(self.spec, blob) for blob in self.members)

    def tensors(self) -> tuple[dict[str, Tensor], ...]:
        """The weights of each member by name, float32, without a module around them.

        Raises:
            WeightsError: a blob is unreadable or does not fit the architecture.
        """
        from ..networks import checked_tensors

        read = []
        for blob in self.members:
            at_next_run()
            read.append(checked_tensors(self.spec, blob))
        return tuple(read)

    @cached_property
    def sha256(self) -> str:
        """Hash of architecture and weights, hexadecimal."""
        digest = hashlib.sha256(self.spec.model_dump_json().encode())
        for blob in self.members:
            digest.update(hashlib.sha256(blob).digest())
        return digest.hexdigest()
