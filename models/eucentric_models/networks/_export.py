"""Graphs for other runtimes: one network, or an ensemble whose members are branches of one graph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ._unet import UNet

SMALLEST_OPSET = 18


class Branches(nn.Module):
    """Mean class probabilities and their deviation over the members, in one graph.

    On a CPU members as branches are faster than members stacked into one (docs/elit.md).

    Args:
        members: at least one.

    Raises:
        ValueError: there is none.
    """

    def __init__(self, members: Sequence[UNet]) -> None:
        super().__init__()
        if not members:
            raise ValueError("an ensemble needs at least one member")
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps and deviation.

        Args:
            images: (batch, 1, ny, nx) normalised; sides multiples of ``spec.size_multiple``.

        Returns:
            (batch, n_classes, ny, nx) mean probabilities, and (batch, ny, nx) standard deviation over the
            members, the largest over the classes.
        """
        probabilities = torch.stack([torch.sigmoid(member(images)) for member in self.members])
        mean = probabilities.mean(dim=0)
        deviation = (probabilities - mean).square().mean(dim=0).sqrt().amax(dim=1)
        return mean, deviation


def export_program(members: Sequence[UNet], shape: tuple[int, int]) -> torch.export.ExportedProgram:
    """The ensemble as a ``torch.export`` program for frames of one shape.

    Args:
        members: one network, or several as branches.
        shape: ``(ny, nx)``, multiples of ``spec.size_multiple``.

    Raises:
        ValueError: there is no member, or the shape does not fit.
    """
    return torch.export.export(*_traced(members, shape), strict=False)


def export_onnx(members: Sequence[UNet], shape: tuple[int, int]) -> bytes:
    """The same graph in ONNX, opset 18: input ``images``, outputs ``maps`` and ``deviation``.

    Args:
        members: one network, or several as branches.
        shape: ``(ny, nx)``, multiples of ``spec.size_multiple``.

    Raises:
        ImportError: the extra ``onnx`` is not installed.
        ValueError: there is no member, or the shape does not fit.
    """
    module, arguments = _traced(members, shape)
    program = torch.onnx.export(
        module,
        arguments,
        input_names=["images"],
        output_names=["maps", "deviation"],
        opset_version=SMALLEST_OPSET,
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise ValueError("this version of torch gives no program for the graph")
    return bytes(program.model_proto.SerializeToString())


def _traced(members: Sequence[UNet], shape: tuple[int, int]) -> tuple[Branches, tuple[Tensor]]:
    module = Branches(members).eval()
    multiple = members[0].spec.size_multiple
    if any(side % multiple or side < multiple for side in shape):
        raise ValueError(f"shape {shape} is not a multiple of {multiple}")
    return module, (torch.zeros(1, 1, *shape),)
